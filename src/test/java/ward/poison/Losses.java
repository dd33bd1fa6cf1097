package ward.poison;

import java.time.Instant;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Origin.Discovery;

/** Entries and frames as tests like to write them. */
final class Losses {

  static final Instant NOON = Instant.parse("2026-01-31T12:00:00Z");

  private Losses() {}

  static PoisonEntry page(long address) {
    return extent(address, 12);
  }

  static PoisonEntry extent(long address, int shift) {
    return entry(address, shift, "host-a");
  }

  static PoisonEntry entry(long address, int shift, String host) {
    Origin origin = new Origin(host, NOON, Discovery.UNREADABLE);
    return new PoisonEntry(address, shift, Severity.ACTION_REQUIRED, origin);
  }

  static PageSet frames(long... frames) {
    PageSet set = new PageSet();
    for (long frame : frames) {
      set.add(frame);
    }
    return set;
  }

  static PageSet run(long first, long count) {
    PageSet set = new PageSet();
    set.add(new PageRun(first, count));
    return set;
  }
}
