package ward.destination;

import java.util.concurrent.Executor;
import java.util.function.Consumer;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.LedgerException;

/**
 * Lost pages that the guest gave back and that are fresh memory from then on, where the operator
 * wants it so ({@link OnRemove#UNPOISON}).
 *
 * <p>The ledger says it first: a page of zeros that a crash turned into a lost one again would only
 * be a nuisance, but one that the next host takes for lost while the guest keeps data in it costs
 * that data. A page whose entry cannot be written stays lost; nobody waits for the disk.
 *
 * <p>In the {@link PageTable} such a page stays POISONED: what the source says of it is never
 * placed.
 */
final class GivenUp {

  private static final Logger log = LoggerFactory.getLogger(GivenUp.class);

  /** What the ledger has to do with it. */
  interface Ledger {
    /** Whether a page is lost for the guest, on whichever host. */
    boolean isLost(long guestPhysicalAddress);

    /**
     * @param frames guest frame numbers
     */
    void giveUp(PageSet frames) throws LedgerException;
  }

  private final OnRemove policy;
  private final GuestLayout layout;
  private final Ledger ledger;
  private final Executor disk;
  private final PageSet pages = new PageSet();
  private final PageSet asked = new PageSet();

  /**
   * @param disk may wait for fsync, but neither for faults nor for {@code ledger}'s other writers
   */
  GivenUp(OnRemove policy, GuestLayout layout, Ledger ledger, Executor disk) {
    this.policy = policy;
    this.layout = layout;
    this.ledger = ledger;
    this.disk = disk;
  }

  /** Whether a lost page that is given back becomes fresh. */
  boolean isAllowed() {
    return policy == OnRemove.UNPOISON;
  }

  synchronized boolean contains(long page) {
    return pages.contains(page);
  }

  /** Page indexes of all of them. */
  synchronized PageSet copy() {
    return pages.copy();
  }

  /** Whether the ledger lists the page: the source lost it, or this host has since. */
  boolean isLost(long page) {
    return ledger.isLost(layout.addressOf(page));
  }

  /**
   * Asks for a page that the guest gave back and touches now.
   *
   * @param then told on another thread whether the page is given up; once, however often it is
   *     asked for meanwhile
   */
  void request(long page, Consumer<Boolean> then) {
    if (!begin(page)) {
      return;
    }
    PageSet one = new PageSet();
    one.add(page);
    disk.execute(
        () -> {
          boolean written = record(one);
          end(page);
          then.accept(written);
        });
  }

  private synchronized boolean begin(long page) {
    boolean first = !asked.contains(page);
    asked.add(page);
    return first;
  }

  private synchronized void end(long page) {
    asked.remove(page);
  }

  /**
   * Records pages that the guest gave back; on a thread that may wait for the disk.
   *
   * @param given page indexes
   * @return whether that is on disk; otherwise they stay lost
   */
  boolean record(PageSet given) {
    try {
      ledger.giveUp(framesOf(given));
    } catch (LedgerException e) {
      log.warn("{} pages that the guest gave back stay lost: {}", given.size(), e.getMessage());
      return false;
    }
    add(given);
    return true;
  }

  private synchronized void add(PageSet given) {
    pages.addAll(given);
  }

  /** Guest frame numbers of pages. */
  PageSet framesOf(PageSet some) {
    PageSet frames = new PageSet();
    some.forEach(page -> frames.add(layout.addressOf(page) >>> Pages.SHIFT));
    return frames;
  }
}
