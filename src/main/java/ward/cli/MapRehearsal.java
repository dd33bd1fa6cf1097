package ward.cli;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.PageStates;
import ward.memory.Pages;
import ward.poison.Circumstances;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonMap;
import ward.poison.RunReader;
import ward.poison.RunWriter;
import ward.poison.Severity;

/**
 * A poison map of many runs goes through everything that a real one does, but for the network and
 * the kernel, while nobody waits: both sides of a young process take three times as long for a map
 * of a million entries as after this.
 */
final class MapRehearsal {

  /** What the compilers take for much. */
  private static final int RUNS = 20_000;

  private static final int RUN_PAGES = 5;
  private static final int STRIDE = 8;
  private static final String GUEST = "rehearsal";

  private final GuestLayout layout =
      new GuestLayout(GUEST, List.of(new GuestRegion(0, Pages.bytes(RUNS * STRIDE), 0)));
  private final Circumstances common =
      new Circumstances(
          Pages.SHIFT,
          Severity.ACTION_REQUIRED,
          new Origin(GUEST, Instant.EPOCH, Origin.Discovery.DECLARED));

  private MapRehearsal() {}

  /**
   * @param directory for a ledger that nobody needs
   */
  static void play(Path directory) throws IOException {
    new MapRehearsal().through(directory);
  }

  private void through(Path directory) throws IOException {
    PoisonMap arrived = overTheWire();
    claim(arrived);
    try (LedgerJournal journal = LedgerJournal.open(directory, GUEST)) {
      journal.append(arrived);
      journal.ledger().digest();
    }
    LedgerJournal.read(directory);
  }

  private PoisonMap overTheWire() {
    RunWriter writer = new RunWriter();
    for (int run = 0; run < RUNS; run++) {
      writer.add(new PageRun((long) run * STRIDE, RUN_PAGES));
    }
    RunReader reader = new RunReader(ByteBuffer.wrap(writer.bytes()), layout.pageCount());
    PoisonMap arrived = new PoisonMap();
    while (reader.hasNext()) {
      arrived.add(common, reader.next());
    }
    return arrived;
  }

  private void claim(PoisonMap map) {
    PageStates states = new PageStates(layout.pageCount());
    PageSet claimed = new PageSet();
    map.frames()
        .forEachRun(
            frames ->
                layout
                    .pagesOf(frames)
                    .forEach(run -> states.compareAndSetAll(run, 1, 3, claimed::add)));
  }
}
