package ward.testbed;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.PoisonLedger;
import ward.wire.ControlMessage;

/**
 * Pages reported lost during a migration, and what the source answered. One whose report got no
 * answer may have been taken or not: the ledgers then tell, and must agree.
 */
final class ReportedLosses {

  private final GuestLayout layout;
  private final PageSet poisoned = new PageSet();
  private final PageSet held = new PageSet();
  private final PageSet unanswered = new PageSet();

  ReportedLosses(GuestLayout layout) {
    this.layout = layout;
  }

  /** Asks the source to take these pages for lost; returns when it has answered. */
  void report(ChaosDaemon source, List<Long> pages) {
    Origin origin = new Origin("chaos", Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries = new ArrayList<>();
    synchronized (this) {
      for (long page : pages) {
        unanswered.add(page);
        entries.add(LostPageEntry.of(layout, page, origin));
      }
    }
    try {
      answered(
          pages,
          (ControlMessage.ReportPoisonResult)
              source.send(new ControlMessage.ReportPoison(entries)));
    } catch (IOException noAnswer) {
      // the source has ended, or refused it: its ledger tells
    }
  }

  private synchronized void answered(List<Long> pages, ControlMessage.ReportPoisonResult result) {
    result.poisoned().forEach(frame -> poisoned.add(pageOf(frame)));
    result.held().forEach(frame -> held.add(pageOf(frame)));
    pages.forEach(
        page -> {
          if (poisoned.contains(page) || held.contains(page)) {
            unanswered.remove(page);
          }
        });
  }

  private long pageOf(long frame) {
    return layout.pageAt(frame << Pages.SHIFT).orElseThrow();
  }

  /** The guest starts from the source's copy: what the destination held before is lost now. */
  synchronized void beginAgain() {
    poisoned.addAll(held);
  }

  /** Indexes of the pages that are lost for the guest by now. */
  synchronized PageSet lost(PoisonLedger sourceLedger) {
    PageSet lost = poisoned.copy();
    PageSet listed = sourceLedger.frames();
    unanswered.forEach(
        page -> {
          if (listed.contains(layout.addressOf(page) >>> Pages.SHIFT)) {
            lost.add(page);
          }
        });
    return lost;
  }

  /** How many pages the destination took for lost. */
  synchronized long poisoned() {
    return poisoned.size();
  }

  /** How many pages the destination had before they were lost. */
  synchronized long held() {
    return held.size();
  }
}
