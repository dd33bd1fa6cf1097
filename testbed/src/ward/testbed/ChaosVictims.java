package ward.testbed;

import java.util.List;
import java.util.SplittableRandom;
import java.util.stream.Stream;

/** Chooses the pages that are lost late. */
record ChaosVictims(ChaosGuest guest, FaultyLink link) {

  /** Page indexes; none where nobody has asked for a page, or the guest could not live without. */
  List<Long> of(ChaosAct.Report report) {
    return switch (report.victims()) {
      case ANY -> any(report);
      case ASKED -> at(link.lastAsked());
      case IN_FLIGHT -> at(link.lastSent());
    };
  }

  private List<Long> any(ChaosAct.Report report) {
    return new SplittableRandom(report.draw())
        .longs(report.count(), 0, guest.layout().pageCount())
        .distinct()
        .boxed()
        .filter(guest::mayLose)
        .toList();
  }

  /**
   * @param address guest-physical; -1 for none
   */
  private List<Long> at(long address) {
    return Stream.of(address)
        .filter(gpa -> gpa >= 0)
        .flatMap(gpa -> guest.layout().pageAt(gpa).stream().boxed())
        .filter(guest::mayLose)
        .toList();
  }
}
