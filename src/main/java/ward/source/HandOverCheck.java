package ward.source;

import java.util.Optional;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.poison.LedgerDigest;
import ward.wire.ControlMessage;

/** What must be true before the source lets go of a guest. */
final class HandOverCheck {

  private HandOverCheck() {}

  /**
   * Why the source keeps its copy; empty if it may let go.
   *
   * @param lost guest frame numbers that are lost for the guest
   */
  static Optional<String> objection(
      GuestLayout layout, PageSet lost, ControlMessage.HandOver handOver) {
    long resolved = handOver.dataPages() + handOver.zeroPages() + handOver.poisonedPages();
    if (resolved != layout.pageCount()) {
      return objection(
          "the destination accounts for %d pages, the guest has %d", resolved, layout.pageCount());
    }
    if (handOver.poisonedPages() != lost.size()) {
      return objection(
          "the destination has %d poisoned pages, the ledger here %d",
          handOver.poisonedPages(), lost.size());
    }
    if (handOver.markers() != handOver.poisonedPages()) {
      return objection(
          "the destination found %d markers in its memory for %d poisoned pages",
          handOver.markers(), handOver.poisonedPages());
    }
    LedgerDigest digest = LedgerDigest.ofFrames(lost);
    if (!handOver.digest().equals(digest)) {
      return objection(
          "the ledgers differ: digest %s at the destination, %s here", handOver.digest(), digest);
    }
    return Optional.empty();
  }

  private static Optional<String> objection(String format, Object... values) {
    return Optional.of(format.formatted(values));
  }
}
