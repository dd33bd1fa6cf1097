package ward.destination;

import java.util.ArrayList;
import java.util.List;
import java.util.function.BiConsumer;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerJournal;
import ward.poison.LedgerQueue;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;

/**
 * Takes poison that the source reports: claims the pages, writes the ledger, and only then puts the
 * markers in place.
 *
 * <p>A page that holds its content already was copied before the loss. It stays as it is, and the
 * source is told.
 */
final class PoisonRecorder {

  private final GuestLayout layout;
  private final PageTable table;
  private final PageResolver resolver;
  private final LedgerJournal journal;
  private final LedgerQueue writes;
  private final DestinationListener listener;

  PoisonRecorder(
      GuestLayout layout,
      PageTable table,
      PageResolver resolver,
      LedgerJournal journal,
      LedgerQueue writes,
      DestinationListener listener) {
    this.layout = layout;
    this.table = table;
    this.resolver = resolver;
    this.journal = journal;
    this.writes = writes;
    this.listener = listener;
  }

  /**
   * Claims and records; runs on the caller's thread only as far as the page table. While the entry
   * cannot be written the page stays claimed: it gets neither content nor a marker, and whoever
   * touches it waits.
   *
   * @param outcome given the guest frame numbers that are poisoned now and those that had their
   *     content, once both are true
   */
  void accept(List<PoisonEntry> entries, BiConsumer<PageSet, PageSet> outcome) {
    record(
        entries,
        (claim, news) -> {
          listener.lossesLearnt(news, heldAmong(entries, claim.heldFrames()));
          outcome.accept(claim.poisonedFrames(), claim.heldFrames());
        });
  }

  /** Returns when few entries wait for the disk. On a thread whose peer may wait for it. */
  void awaitRoom() {
    writes.awaitRoom();
  }

  /**
   * The same for the map that comes before the guest, of which nothing is news for people: claimed
   * run by run, written with one fsync.
   *
   * @param losses RAM throughout; not to be changed afterwards
   */
  void acceptMap(PoisonMap losses, BiConsumer<PageSet, PageSet> outcome) {
    PageSet poisoned = losses.frames();
    List<PageRun> claimed = new ArrayList<>();
    poisoned.forEachRun(
        frames -> layout.pagesOf(frames).forEach(run -> table.poison(run, claimed::add)));
    PageSet held = heldAmong(poisoned, claimed.stream().mapToLong(PageRun::pageCount).sum());
    poisoned.removeAll(held);
    PoisonMap lost = held.isEmpty() ? losses : losses.without(held);
    writes.add(
        () -> {
          journal.append(lost);
          resolver.poison(claimed);
          outcome.accept(poisoned, held);
        });
  }

  /** Those frames whose pages have a writer that placed content. */
  private PageSet heldAmong(PageSet frames, long claimedPages) {
    PageSet held = new PageSet();
    if (claimedPages < frames.size()) {
      frames.forEach(
          frame -> {
            long page = layout.pageAt(frame << Pages.SHIFT).orElseThrow();
            if (table.get(page) != PageTable.State.POISONED) {
              held.add(frame);
            }
          });
    }
    return held;
  }

  private static List<PoisonEntry> heldAmong(List<PoisonEntry> entries, PageSet held) {
    return entries.stream()
        .flatMap(entry -> perPage(entry).stream())
        .filter(page -> held.contains(page.guestPhysicalAddress() >>> Pages.SHIFT))
        .toList();
  }

  private void record(List<PoisonEntry> entries, BiConsumer<Claim, List<PoisonEntry>> outcome) {
    Claim claim = claim(entries);
    writes.add(
        () -> {
          journal.append(claim.entries());
          placeMarkers(claim.claimedPages());
          outcome.accept(claim, claim.entries());
        });
  }

  /** Does something when all that was accepted before is in the ledger and in the page tables. */
  void afterwards(LedgerQueue.Write what) {
    writes.add(what);
  }

  private void placeMarkers(PageSet pages) throws ResolveException {
    resolver.poison(pages);
  }

  /**
   * @param entries to be recorded
   * @param claimedPages page indexes that this claim poisons
   * @param poisonedFrames of the entries: now and before
   * @param heldFrames of the entries: content was there first
   */
  private record Claim(
      List<PoisonEntry> entries,
      PageSet claimedPages,
      PageSet poisonedFrames,
      PageSet heldFrames) {}

  private Claim claim(List<PoisonEntry> entries) {
    Claim claim = new Claim(new ArrayList<>(), new PageSet(), new PageSet(), new PageSet());
    for (PoisonEntry entry : entries) {
      long heldBefore = claim.heldFrames().size();
      List<PoisonEntry> pages = new ArrayList<>();
      for (PoisonEntry page : perPage(entry)) {
        if (claimPage(page, claim)) {
          pages.add(page);
        }
      }
      boolean whole = claim.heldFrames().size() == heldBefore && !pages.isEmpty();
      claim.entries().addAll(whole ? List.of(entry) : pages);
    }
    return claim;
  }

  /** Whether the page is poisoned by this claim. */
  private boolean claimPage(PoisonEntry page, Claim claim) {
    long frame = page.guestPhysicalAddress() >>> Pages.SHIFT;
    long index =
        layout
            .pageAt(page.guestPhysicalAddress())
            .orElseThrow(() -> new IllegalArgumentException("not RAM: " + page));
    boolean claimed = table.poison(index) || resolver.withdraw(index);
    if (claimed) {
      claim.claimedPages().add(index);
    }
    boolean poisoned = claimed || table.get(index) == PageTable.State.POISONED;
    (poisoned ? claim.poisonedFrames() : claim.heldFrames()).add(frame);
    return claimed;
  }

  /** An extent of more than a page, page by page: part of it may have been copied in time. */
  private static List<PoisonEntry> perPage(PoisonEntry entry) {
    List<PoisonEntry> pages = new ArrayList<>();
    long end = entry.guestPhysicalAddress() + (1L << entry.pageShift());
    for (long address = entry.guestPhysicalAddress(); address < end; address += Pages.SIZE_BYTES) {
      pages.add(
          new PoisonEntry(address, PoisonEntry.MIN_PAGE_SHIFT, entry.severity(), entry.origin()));
    }
    return pages;
  }
}
