package ward.source;

import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.wire.ControlMessage.RecoveryEnd;
import ward.wire.ControlMessage.RecoveryPart;
import ward.wire.ProtocolException;

/** What a destination says after a break of the pages that it has. Guest frame numbers. */
final class ReturnedDestination {

  private final GuestLayout layout;
  private final PageSet present = new PageSet();
  private final PageSet poisoned = new PageSet();

  ReturnedDestination(GuestLayout layout) {
    this.layout = layout;
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
    frames.forEachRun(
        run -> {
          if (layout.runAt(run.firstPage() << Pages.SHIFT, run.pageCount()).isEmpty()) {
            throw new ProtocolException(
                "the destination claims %d pages at guest-physical address 0x%x, which are not RAM of guest %s"
                    .formatted(run.pageCount(), run.firstPage() << Pages.SHIFT, layout.guest()));
          }
        });
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
