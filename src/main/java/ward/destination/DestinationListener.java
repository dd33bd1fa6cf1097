package ward.destination;

import java.util.List;
import ward.memory.PageSet;
import ward.poison.PoisonEntry;

/**
 * Hears what happens on the incoming side. Called from several threads, on the fault path too: it
 * must not block.
 */
public interface DestinationListener {

  /** The phase changed; the reason is for people. */
  default void onPhase(DestinationPhase previous, DestinationPhase next, String reason) {}

  /** Something went wrong that the migration survives; the text is for people. */
  default void trouble(String text) {}

  /** The guest touched pages that are missing: how many events were read at once. */
  default void faultsRead(int events) {}

  /**
   * A thread touched a page and waits for it. It may do so again for the same page.
   *
   * @param thread as gettid(2) names it
   * @param page index
   */
  default void waits(int thread, long page) {}

  /** Whoever waited for one of these pages was woken. */
  default void woken(long firstPage, long pageCount) {}

  /**
   * A demand fault was answered.
   *
   * @param nanos from reading its event to the end of the ioctl that resolved it
   */
  default void faultResolved(long nanos) {}

  /** Pages were placed that nobody had asked for yet. */
  default void streamed(long pages) {}

  /** Content came for pages that were resolved already; it was dropped. */
  default void duplicate(long pages) {}

  /** A page was there although Ward did not put it there. */
  default void alreadyResolved(long guestPhysicalAddress) {}

  /** The source cannot tell what is in a page, and it is not poison; it will be asked again. */
  default void sourceFailed(long guestPhysicalAddress, String reason) {}

  /**
   * Pages came with other bytes than were sent; none was placed.
   *
   * @param pagesAskedAgain 0 if they were asked for already, are resolved, or came damaged too
   *     often
   * @param disagreement both checksums, for people
   */
  default void damaged(long guestPhysicalAddress, long pagesAskedAgain, String disagreement) {}

  /**
   * Poison became known after the guest was resumed.
   *
   * @param poisoned guest frame numbers that are lost now
   * @param held guest frame numbers that had been copied before the loss, and stay as they are
   */
  default void latePoison(PageSet poisoned, PageSet held) {}

  /**
   * Losses were learnt after the poison map: from the source, or because it is lost itself.
   *
   * @param poisoned what is lost now and was not before, on disk and marked
   * @param held pages that had been copied before the loss
   */
  default void lossesLearnt(List<PoisonEntry> poisoned, List<PoisonEntry> held) {}

  /**
   * The source was out of reach, and is there again.
   *
   * @param nanos for how long
   */
  default void recovered(long nanos) {}

  /**
   * Huge pages that are lost in part are lost as a whole from now on.
   *
   * @param entries one for each; where they are and how long
   */
  default void widened(List<PoisonEntry> entries) {}

  /** Huge pages were made of memory that had arrived in small ones. */
  default void collapsed(CollapseReport report) {}

  /** The guest gave pages back. */
  default void givenBack(long pages) {}
}
