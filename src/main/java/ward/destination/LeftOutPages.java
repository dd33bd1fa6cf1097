package ward.destination;

import java.util.function.Consumer;

/**
 * The pages that the streams have ended without: they are asked for as if the guest had touched
 * them, a part at a time, or the requests of a large guest would wait here, and their answers in
 * the source.
 *
 * <p>Confined to the session's thread.
 */
final class LeftOutPages {

  /** No page is asked for here while so many requests are open, those of the guest included. */
  static final int OPEN_MAX = 1024;

  private long from; // no page before it is missing: none ever becomes so again

  /**
   * Asks for as many as there is room for.
   *
   * @param onFailure given what the kernel refused meanwhile
   * @return whether some are left for another call
   */
  boolean ask(PageTable table, PageFaults faults, Consumer<Throwable> onFailure) {
    long end = table.pageCount();
    int room = OPEN_MAX - faults.openCount();
    from = table.nextMissing(from, end);
    for (; room > 0 && from < end; room--) {
      faults.onFault(from, onFailure);
      from = table.nextMissing(from + 1, end);
    }
    return from < end;
  }
}
