package ward.source;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/**
 * A guest of 100 pages at address 0 and 30 at 4 GiB, in a file, with a ledger. Pages 10 to 19 are
 * zeros; every byte of another page is its index.
 */
final class SmallGuest implements AutoCloseable {

  static final int LOW_PAGES = 100;
  static final int HIGH_PAGES = 30;
  static final int PAGES = LOW_PAGES + HIGH_PAGES;
  static final long HIGH = 4L << 30;

  static final GuestLayout LAYOUT =
      new GuestLayout(
          "small",
          List.of(
              new GuestRegion(0, Pages.bytes(LOW_PAGES), 0),
              new GuestRegion(HIGH, Pages.bytes(HIGH_PAGES), Pages.bytes(LOW_PAGES))));

  final TestKernel kernel = new TestKernel();
  final Path file;
  final SourceMemory memory;
  final LedgerJournal journal;

  SmallGuest(Path directory) throws IOException {
    this(directory, LedgerJournal.open(directory.resolve("ledger"), LAYOUT.guest()));
  }

  SmallGuest(Path directory, LedgerJournal journal) throws IOException {
    file = directory.resolve("memory");
    Files.write(file, content());
    memory = SourceMemory.map(kernel, file, LAYOUT, SourceMemory.Access.READ);
    this.journal = journal;
  }

  private static byte[] content() {
    byte[] all = new byte[PAGES * Pages.SIZE_BYTES];
    for (int i = 0; i < all.length; i++) {
      int page = i >>> Pages.SHIFT;
      all[i] = (byte) (isZero(page) ? 0 : page);
    }
    return all;
  }

  /** Page 0 too: its index is 0. */
  static boolean isZero(int page) {
    return page == 0 || page >= 10 && page < 20;
  }

  void spoil(long page, Errno reason) {
    kernel.spoil(memory.memory().hostAddressOf(page), reason);
  }

  void mend(long page) {
    kernel.mend(memory.memory().hostAddressOf(page));
  }

  static long frame(long page) {
    return LAYOUT.addressOf(page) >>> Pages.SHIFT;
  }

  static PageSet frames(long... pages) {
    PageSet set = new PageSet();
    for (long page : pages) {
      set.add(frame(page));
    }
    return set;
  }

  static PoisonEntry entry(long page) {
    return extent(page, PoisonEntry.MIN_PAGE_SHIFT);
  }

  static PoisonEntry extent(long page, int shift) {
    return new PoisonEntry(
        LAYOUT.addressOf(page),
        shift,
        Severity.ACTION_REQUIRED,
        new Origin("mars", Instant.ofEpochMilli(1_700_000_000_000L), Origin.Discovery.REPORTED));
  }

  @Override
  public void close() throws IOException {
    journal.close();
  }
}
