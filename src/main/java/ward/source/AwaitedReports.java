package ward.source;

import java.io.IOException;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import ward.memory.PageSet;

/**
 * Reports of losses that the destination has not answered for yet.
 *
 * <p>Confined to the session's thread. Page sets hold guest frame numbers.
 */
final class AwaitedReports {

  private final Map<Long, PoisonReport> byFrame = new HashMap<>();

  void add(PoisonReport report) {
    report.open().forEach(frame -> byFrame.put(frame, report));
  }

  /** The destination's word on these pages; reports that are complete are answered. */
  void confirm(PageSet poisoned, PageSet held) {
    for (PoisonReport report : new LinkedHashSet<>(byFrame.values())) {
      if (report.confirm(poisoned, held)) {
        byFrame.values().removeIf(report::equals);
        report.finish();
      }
    }
  }

  /** No destination will answer any more. */
  void failAll(IOException cause) {
    new LinkedHashSet<>(byFrame.values()).forEach(report -> report.fail(cause));
    byFrame.clear();
  }
}
