package ward.source;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerDigest;
import ward.poison.PoisonEntry;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.LatePoison;
import ward.wire.ControlMessage.PoisonMapApplied;
import ward.wire.ControlMessage.RecoveryEnd;
import ward.wire.ControlMessage.RecoveryPart;
import ward.wire.ProtocolException;

/**
 * A destination that has come back after a break: what it says of the pages that it has, and what
 * follows from it here.
 *
 * <p>Confined to the session's thread. Page sets hold guest frame numbers.
 */
final class ReturnedDestination {

  private final SourceParts parts;
  private final StreamCursor cursor;
  private final PageSet guestFrames = new PageSet();
  private final PageSet present = new PageSet();
  private final PageSet poisoned = new PageSet();
  private RecoveryEnd end; // null until it is said

  ReturnedDestination(SourceParts parts, StreamCursor cursor) {
    this.parts = parts;
    this.cursor = cursor;
    for (GuestRegion region : parts.layout().regions()) {
      guestFrames.add(
          new PageRun(
              region.guestPhysicalAddress() >>> Pages.SHIFT, region.lengthBytes() >>> Pages.SHIFT));
    }
  }

  /**
   * @throws ProtocolException if a page is not the guest's
   */
  void add(RecoveryPart part) {
    requireInLayout(part.present());
    requireInLayout(part.poisoned());
    present.addAll(part.present());
    poisoned.addAll(part.poisoned());
  }

  private void requireInLayout(PageSet frames) {
    PageSet outside = frames.copy();
    outside.removeAll(guestFrames);
    if (!outside.isEmpty()) {
      throw new ProtocolException(
          "the destination claims pages that are not RAM of guest %s, by guest frame number: %s"
              .formatted(parts.layout().guest(), outside));
    }
  }

  /**
   * @throws ProtocolException if parts are missing, or a page is in two of them
   */
  void end(RecoveryEnd said) {
    PageSet both = present.copy();
    both.retainAll(poisoned);
    if (present.size() != said.presentPages()
        || poisoned.size() != said.poisonedPages()
        || !both.isEmpty()) {
      throw new ProtocolException(
          "the destination announced %d present and %d poisoned pages and named %d and %d, %d of them as both"
              .formatted(
                  said.presentPages(),
                  said.poisonedPages(),
                  present.size(),
                  poisoned.size(),
                  both.size()));
    }
    end = said;
  }

  boolean hasEnded() {
    return end != null;
  }

  /** Whether it has heard that the guest is released. */
  boolean isReleased() {
    return end.guestReleased();
  }

  /** Whether the guest has run there. */
  boolean isResumed() {
    return end.guestResumed();
  }

  /** Pages that are lost there, for the guest's life. */
  PageSet poisoned() {
    return poisoned;
  }

  /**
   * What it has, it has, and what it has not, was not sent.
   *
   * @throws ProtocolException if it holds pages for lost that are not lost here
   */
  void startOver() {
    requireKnown();
    List<GuestRegion> regions = parts.layout().regions();
    for (int region = 0; region < regions.size(); region++) {
      startOver(regions.get(region), parts.layout().firstPageOf(region));
    }
    cursor.startOver();
  }

  /** Run by run: page by page, a guest of 12 TiB would be stopped for minutes by a break. */
  private void startOver(GuestRegion region, long firstPage) {
    long firstFrame = region.guestPhysicalAddress() >>> Pages.SHIFT;
    long done = 0;
    while (done < region.pageCount()) {
      long left = region.pageCount() - done;
      boolean arrived = present.contains(firstFrame + done);
      long count = present.leading(firstFrame + done, left, arrived);
      parts.served().startOver(firstPage + done, firstPage + done + count, arrived);
      done += count;
    }
  }

  private void requireKnown() {
    PageSet unknown = poisoned.copy();
    unknown.removeAll(parts.lost().lostForTheGuest());
    if (!unknown.isEmpty()) {
      throw new ProtocolException(
          "the destination holds pages for lost that are not lost here: " + unknown);
    }
  }

  /** What was lost here and is not known there: found during the break, or said in vain. */
  List<LatePoison> losses() {
    List<PoisonEntry> entries = new ArrayList<>();
    parts
        .lost()
        .unknownTo(poisoned)
        .forEach(frame -> entries.addAll(parts.lost().entriesAt(pageOf(frame))));
    List<PoisonEntry> each = entries.stream().distinct().toList();
    return ControlMessage.cut(each, ControlMessage.ENTRIES_MAX).stream()
        .map(LatePoison::new)
        .toList();
  }

  private long pageOf(long frame) {
    return parts.layout().pageAt(frame << Pages.SHIFT).orElseThrow();
  }

  /** What does not agree once it has dealt with every loss that it was told of. */
  Optional<String> objection(PoisonMapApplied applied) {
    PageSet expected = parts.lost().agreed();
    LedgerDigest digest = LedgerDigest.ofFrames(expected);
    return applied.pages() == expected.size() && applied.digest().equals(digest)
        ? Optional.empty()
        : Optional.of(
            "after a break the destination holds %d pages for lost, this side %d (digests %s, %s)"
                .formatted(applied.pages(), expected.size(), applied.digest(), digest));
  }
}
