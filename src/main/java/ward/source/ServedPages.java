package ward.source;

import ward.memory.PageRun;
import ward.memory.PageStates;

/**
 * What the source has done with every page.
 *
 * <pre>
 * UNSENT --claim--> SENT --lose--> LOST
 *    |                              ^
 *    +------------- lose -----------+
 * </pre>
 *
 * <p>A page that is LOST is never read again. A page that was SENT before it was lost may be at the
 * destination already; the destination decides which came first.
 */
final class ServedPages {

  private enum State {
    UNSENT,
    SENT,
    LOST
  }

  private static final int READABLE = 1 << State.UNSENT.ordinal() | 1 << State.SENT.ordinal();

  private final PageStates states;

  ServedPages(long pageCount) {
    this.states = new PageStates(pageCount);
  }

  boolean isLost(long page) {
    return states.get(page) == State.LOST.ordinal();
  }

  boolean isUnsent(long page) {
    return states.get(page) == State.UNSENT.ordinal();
  }

  /** Makes the caller the one that sends a page in the background. */
  boolean claim(long page) {
    return move(page, State.UNSENT, State.SENT);
  }

  /** The same for pages next to each other, up to the first that was sent or lost; how many. */
  long claim(long firstPage, long endPage) {
    int unsent = 1 << State.UNSENT.ordinal();
    return states.moveLeading(firstPage, endPage, unsent, State.SENT.ordinal());
  }

  /** Gives a claim back: the page could not be read just now. */
  void unclaim(long page) {
    move(page, State.SENT, State.UNSENT);
  }

  /**
   * After a break, when nothing is under way: what the destination has, it has, and what it has
   * not, was not sent. Pages that are LOST stay so.
   */
  void startOver(long firstPage, long endPage, boolean arrived) {
    State from = arrived ? State.UNSENT : State.SENT;
    State to = arrived ? State.SENT : State.UNSENT;
    int leaving = 1 << from.ordinal();
    long page = states.next(firstPage, endPage, leaving);
    while (page < endPage) {
      page += states.moveLeading(page, endPage, leaving, to.ordinal());
      page = states.next(page, endPage, leaving);
    }
  }

  /** Notes a loss; false if it was known. */
  boolean lose(long page) {
    return move(page, State.UNSENT, State.LOST) || move(page, State.SENT, State.LOST);
  }

  /** Notes the loss of pages next to each other. */
  void lose(PageRun run) {
    states.compareAndSetAll(run, READABLE, State.LOST.ordinal(), lost -> {});
  }

  private boolean move(long page, State from, State to) {
    return states.compareAndSet(page, from.ordinal(), to.ordinal());
  }
}
