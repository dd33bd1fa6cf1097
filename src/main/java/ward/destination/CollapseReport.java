package ward.destination;

import java.util.concurrent.TimeUnit;

/**
 * What came of making huge pages of memory that arrived in small ones.
 *
 * @param hugePages ranges of 2 MiB that are one huge page now, also those that were one before
 * @param leftOut ranges that hold a page which is lost or was given back, and were not touched
 * @param refused ranges that the kernel did not take, such as those of zero pages, which take no
 *     memory as they are; their pages are as they were
 * @param refusal what it said the last time, empty if it took all of them
 * @param nanos how long it took
 */
public record CollapseReport(
    long hugePages, long leftOut, long refused, String refusal, long nanos) {

  /** For people. */
  @Override
  public String toString() {
    return "%,d ranges of 2 MiB are huge pages now, in %,d ms; %,d were left out because a page in them is lost or was given back, %,d refused by the kernel%s"
        .formatted(
            hugePages,
            TimeUnit.NANOSECONDS.toMillis(nanos),
            leftOut,
            refused,
            refusal.isEmpty() ? "" : " (" + refusal + ")");
  }
}
