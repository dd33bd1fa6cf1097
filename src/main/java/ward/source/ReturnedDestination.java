package ward.source;

import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.ControlMessage.RecoveryEnd;
import ward.wire.ControlMessage.RecoveryPart;
import ward.wire.ProtocolException;

/** What a destination says after a break of the pages that it has. Guest frame numbers. */
final class ReturnedDestination {

  private final String guest;
  private final PageSet guestFrames = new PageSet();
  private final PageSet present = new PageSet();
  private final PageSet poisoned = new PageSet();

  ReturnedDestination(GuestLayout layout) {
    this.guest = layout.guest();
    for (GuestRegion region : layout.regions()) {
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
              .formatted(guest, outside));
    }
  }

  /**
   * @throws ProtocolException if parts are missing, or a page is in two of them
   */
  void requireWhole(RecoveryEnd end) {
    PageSet both = present.copy();
    both.retainAll(poisoned);
    if (present.size() != end.presentPages()
        || poisoned.size() != end.poisonedPages()
        || !both.isEmpty()) {
      throw new ProtocolException(
          "the destination announced %d present and %d poisoned pages and named %d and %d, %d of them as both"
              .formatted(
                  end.presentPages(),
                  end.poisonedPages(),
                  present.size(),
                  poisoned.size(),
                  both.size()));
    }
  }

  /** Pages that hold their content there. */
  PageSet present() {
    return present;
  }

  /** Pages that are lost there, for the guest's life. */
  PageSet poisoned() {
    return poisoned;
  }
}
