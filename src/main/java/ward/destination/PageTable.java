package ward.destination;

import java.util.function.Consumer;
import ward.memory.PageRun;
import ward.memory.PageStates;

/**
 * What is known of every page of the arriving guest, and who may write it.
 *
 * <pre>
 * MISSING --request--> REQUESTED --claim--> PRESENT
 *    |                     |
 *    |------- claim -------+
 *    +------- poison ------+-------------> POISONED   (absorbing)
 * </pre>
 *
 * <p>One arrow is not drawn: where pages are huge, a page that is present, but in a huge page that
 * the guest has not got, is lost with the rest of it ({@link #withdraw}).
 *
 * <p>A change of state is one compare-and-set, made <em>before</em> the ioctl it stands for:
 * whoever wins it is the page's only writer. The kernel does not help here. Measured on Linux 6.18,
 * {@code UFFDIO_COPY} over a poison marker returns 0 and heals the page: the guest would read stale
 * bytes where the hardware lost its data.
 */
public final class PageTable {

  /** The order is the encoding in {@link PageStates}. */
  public enum State {
    /** Nobody asked, nothing came. */
    MISSING,
    /** The guest waits for it; the source was asked. */
    REQUESTED,
    /** Content is in place, or its one writer is putting it there. */
    PRESENT,
    /** Lost. Nothing ever leaves this state. */
    POISONED
  }

  private static final State[] STATES = State.values();
  private static final int UNRESOLVED =
      1 << State.MISSING.ordinal() | 1 << State.REQUESTED.ordinal();

  private static final int PRESENT = 1 << State.PRESENT.ordinal();

  private final PageStates states;

  public PageTable(long pageCount) {
    this.states = new PageStates(pageCount);
  }

  public long pageCount() {
    return states.pageCount();
  }

  public State get(long page) {
    return STATES[states.get(page)];
  }

  /** Notes that the source is asked for a page; false if that was done, or the page is resolved. */
  boolean request(long page) {
    return move(page, State.MISSING, State.REQUESTED);
  }

  /** Makes the caller the one that places a page's content; false if the page has its writer. */
  boolean claim(long page) {
    return move(page, State.MISSING, State.PRESENT) || move(page, State.REQUESTED, State.PRESENT);
  }

  /**
   * The same for pages next to each other, up to the first that has its writer; answers how many.
   * Of a huge page that nobody else wants, these are 16 compare-and-sets.
   */
  long claim(long firstPage, long endPage) {
    return states.moveLeading(firstPage, endPage, UNRESOLVED, State.PRESENT.ordinal());
  }

  /** The first page from one on that nobody asked for; {@code endPage} if there is none. */
  long nextMissing(long page, long endPage) {
    return states.next(page, endPage, 1 << State.MISSING.ordinal());
  }

  /** The first page from one on that has no writer yet; {@code endPage} if there is none. */
  long nextUnclaimed(long page, long endPage) {
    return states.next(page, endPage, UNRESOLVED);
  }

  /** The first page from one on that has its writer; {@code endPage} if there is none. */
  long nextClaimed(long page, long endPage) {
    return states.next(page, endPage, ~UNRESOLVED);
  }

  /** The first page from one on that holds its content; {@code endPage} if there is none. */
  long nextPresent(long page, long endPage) {
    return states.next(page, endPage, PRESENT);
  }

  /** The first page from one on that does not; {@code endPage} if there is none. */
  long nextAbsent(long page, long endPage) {
    return states.next(page, endPage, ~PRESENT);
  }

  /** Makes the caller the one that poisons a page; false if the page has its writer. */
  boolean poison(long page) {
    return move(page, State.MISSING, State.POISONED) || move(page, State.REQUESTED, State.POISONED);
  }

  /** Of content that nobody can have seen: it is lost with its huge page. */
  boolean withdraw(long page) {
    return move(page, State.PRESENT, State.POISONED);
  }

  /**
   * Makes the caller the one that poisons those pages of a run that have no writer.
   *
   * @param poisoned told of them, as runs
   */
  void poison(PageRun run, Consumer<PageRun> poisoned) {
    states.compareAndSetAll(run, UNRESOLVED, State.POISONED.ordinal(), poisoned);
  }

  private boolean move(long page, State from, State to) {
    return states.compareAndSet(page, from.ordinal(), to.ordinal());
  }
}
