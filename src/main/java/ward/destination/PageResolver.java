package ward.destination;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import java.util.function.LongConsumer;
import ward.guest.GuestMemory;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.uffd.FillResult;
import ward.uffd.PageFiller;
import ward.wire.MixedPages;

/**
 * Puts content or poison in place: claims pages in the {@link PageTable}, then issues the ioctls
 * for those it won, and only those. May be called from any thread.
 */
final class PageResolver {

  /** One kind of ioctl over a run that is claimed and lies in one region. */
  private interface Operation {
    FillResult apply(long page, long pageCount);
  }

  /** One kind of ioctl that takes its bytes from somewhere. */
  private interface Transfer {
    FillResult apply(long hostAddress, long sourceAddress, long lengthBytes);
  }

  private static final String COPY = "UFFDIO_COPY";
  private static final String ZEROPAGE = "UFFDIO_ZEROPAGE";
  private static final long OUT_OF_MEMORY_PAUSE_NANOS = 10_000_000;
  private static final long EVENT_PAUSE_NANOS = 20_000;

  /** Claimed at once: a fault on a claimed page waits for the ioctl that covers all of them. */
  static final long CLAIM_PAGES_MAX = 512;

  private final GuestMemory memory;
  private final PageTable table;
  private final PageFiller filler;
  private final GivenBack givenBack;
  private final PageCounts counts;
  private final DestinationListener listener;
  private final AtomicLong unresolved;
  private final Runnable whenAllResolved;

  /** Poisoned pages whose entry is on disk: no marker goes anywhere else. */
  private final PageSet marked = new PageSet();

  private boolean sparesGivenBack;
  private Runnable pendingEvents = () -> LockSupport.parkNanos(EVENT_PAUSE_NANOS);

  /**
   * @param whenAllResolved called on the thread that resolves the last page; once, unless pages are
   *     withdrawn and lost later
   */
  PageResolver(
      GuestMemory memory,
      PageTable table,
      PageFiller filler,
      GivenBack givenBack,
      DestinationListener listener,
      Runnable whenAllResolved) {
    this.memory = memory;
    this.table = table;
    this.filler = filler;
    this.givenBack = givenBack;
    this.counts = new PageCounts();
    this.listener = listener;
    this.whenAllResolved = whenAllResolved;
    this.unresolved = new AtomicLong(table.pageCount());
  }

  /**
   * What to do when the kernel answers EAGAIN because an event is unread: whoever reads events does
   * so, or nothing would ever change.
   */
  void onPendingEvents(Runnable readEvents) {
    this.pendingEvents = readEvents;
  }

  /** From now on no marker is placed for the first time on a page that was given back before. */
  void spareGivenBack() {
    sparesGivenBack = true;
  }

  PageCounts counts() {
    return counts;
  }

  /** Pages that are neither in place nor poisoned. */
  long unresolved() {
    return unresolved.get();
  }

  /**
   * Places bytes in those pages of the run that have no writer yet.
   *
   * @param sourceAddress of the run's bytes; any memory but the guest's
   * @return pages that were placed by this call
   */
  long data(PageRun run, long sourceAddress) throws ResolveException {
    return content(run, COPY, bytesOf(run, sourceAddress, filler::copy), counts::addData);
  }

  /**
   * The same for bytes that lie in staging memory, where nobody wants them any more: where the run
   * is a whole huge page, here and there, it is moved and not copied.
   */
  long staged(PageRun run, long sourceAddress) throws ResolveException {
    return content(run, COPY, bytesOf(run, sourceAddress, filler::take), counts::addData);
  }

  /**
   * The same for pages of which some are zeros. Where at least half of a huge page has content, it
   * is moved as one, zeros and all, by one call instead of one for each run: the guest's memory
   * grows by 1 MiB at most, and by no more than it would when huge pages are put together in the
   * end ({@link PageFiller#collapse} has the same limit). Zeros take no memory otherwise.
   */
  long mixed(PageRun run, MixedPages pages) throws ResolveException {
    long claimed = isWorthMoving(run, pages) ? claimFrom(run.firstPage(), run.endPage()) : 0;
    if (claimed == run.pageCount()) {
      moveMixed(run, pages);
      return claimed;
    }
    // Of a huge page that has other writers, what was won is placed run by run, and so is the rest.
    eachKind(
        run,
        0,
        claimed,
        pages,
        (part, name, place, count) -> {
          fill(part.firstPage(), part.pageCount(), name, place, count);
          return part.pageCount();
        });
    return claimed + eachKind(run, claimed, run.pageCount(), pages, this::content);
  }

  private boolean isWorthMoving(PageRun run, MixedPages pages) {
    return 2L * pages.dataPages() >= run.pageCount()
        && run.pageCount() <= memory.layout().pagesLeftInRegion(run.firstPage())
        && filler.moves(
            memory.hostAddressOf(run.firstPage()), pages.address(), Pages.bytes(run.pageCount()));
  }

  /** Of pages that are claimed. */
  private void moveMixed(PageRun run, MixedPages pages) throws ResolveException {
    filler.spread(pages.address(), Pages.bytes(run.pageCount()), pages.bitsAddress());
    fill(
        run.firstPage(),
        run.pageCount(),
        COPY,
        bytesOf(run, pages.address(), filler::take),
        kept -> countMixed(kept, pages.dataPages()));
  }

  /** What was given back in this moment counts as zeros, whatever it was. */
  private void countMixed(long kept, int dataPages) {
    long data = Math.min(kept, dataPages);
    counts.addData(data);
    counts.addZero(kept - data);
  }

  /** One kind of ioctl over pages of which some may have a writer; answers how many it placed. */
  private interface Placing {
    long place(PageRun part, String name, Operation operation, LongConsumer count)
        throws ResolveException;
  }

  /** The runs of data and of zeros in a part of mixed pages. */
  private long eachKind(PageRun run, long from, long to, MixedPages pages, Placing placing)
      throws ResolveException {
    long placed = 0;
    int page = (int) from;
    while (page < to) {
      int alike = (int) Math.min(pages.alike(page), to - page);
      PageRun part = new PageRun(run.firstPage() + page, alike);
      placed +=
          pages.data().get(page)
              ? placing.place(
                  part, COPY, bytesOf(part, pages.addressOf(page), filler::copy), counts::addData)
              : placing.place(part, ZEROPAGE, this::zeroPages, counts::addZero);
      page += alike;
    }
    return placed;
  }

  /** Each page gets its own of the run's bytes. */
  private Operation bytesOf(PageRun run, long sourceAddress, Transfer transfer) {
    return (page, count) ->
        transfer.apply(
            memory.hostAddressOf(page),
            sourceAddress + Pages.bytes(page - run.firstPage()),
            Pages.bytes(count));
  }

  /**
   * Places the bytes of one page that a thread waits for; without an object, as long as nothing
   * stands in the way.
   *
   * @param sourceAddress of its bytes; any memory but the guest's
   * @return false if it has another writer
   */
  boolean page(long page, long sourceAddress) throws ResolveException {
    if (!table.claim(page)) {
      return false;
    }
    if (tryCopy(page, sourceAddress)) {
      counts.addData(1);
      settled(page, 1);
    } else {
      PageRun one = new PageRun(page, 1);
      fill(page, 1, COPY, bytesOf(one, sourceAddress, filler::copy), counts::addData);
    }
    return true;
  }

  private boolean tryCopy(long page, long sourceAddress) {
    givenBack.placing().lock();
    try {
      return givenBack.leadingKept(page, 1) == 1
          && filler.copy(memory.hostAddressOf(page), sourceAddress, Pages.SIZE_BYTES).outcome()
              == FillResult.Outcome.COMPLETED;
    } finally {
      givenBack.placing().unlock();
    }
  }

  /** Places zeros in those pages of the run that have no writer yet; answers how many. */
  long zero(PageRun run) throws ResolveException {
    return content(run, ZEROPAGE, this::zeroPages, counts::addZero);
  }

  private FillResult zeroPages(long page, long count) {
    return filler.zero(memory.hostAddressOf(page), Pages.bytes(count));
  }

  private long content(PageRun run, String name, Operation operation, LongConsumer count)
      throws ResolveException {
    long placed = 0;
    long page = run.firstPage();
    while (page < run.endPage()) {
      long claimed = claimFrom(page, run.endPage());
      if (claimed == 0) {
        page++; // it has another writer
      } else {
        fill(page, claimed, name, operation, count);
        placed += claimed;
        page += claimed;
      }
    }
    return placed;
  }

  /** Of pages that are claimed. */
  private void fill(long page, long claimed, String name, Operation operation, LongConsumer count)
      throws ResolveException {
    long kept = place(page, claimed, name, operation);
    count.accept(kept);
    counts.addGivenBack(claimed - kept);
    settled(page, claimed);
  }

  private long claimFrom(long page, long endPage) {
    return table.claim(page, Math.min(endPage, page + CLAIM_PAGES_MAX));
  }

  /** Answers how many of the claimed pages got the content: the rest were given back meanwhile. */
  private long place(long first, long pageCount, String name, Operation operation)
      throws ResolveException {
    long done = 0;
    long skipped = 0;
    while (done < pageCount) {
      long page = first + done;
      long gone = givenBack.leadingGivenBack(page, pageCount - done);
      if (gone > 0) {
        wake(new PageRun(page, gone)); // this writer was the one to wake whoever waits there
        skipped += gone;
        done += gone;
      } else {
        done += step(page, pageCount - done, name, operation);
      }
    }
    return pageCount - skipped;
  }

  private long step(long page, long pageCount, String name, Operation operation)
      throws ResolveException {
    FillResult result;
    long asked;
    givenBack.placing().lock();
    try {
      asked = givenBack.leadingKept(page, pageCount);
      if (asked == 0) {
        return 0;
      }
      result = operation.apply(page, asked);
    } finally {
      givenBack.placing().unlock();
    }
    return progress(page, asked, name, result);
  }

  /** Pages dealt with, by what the kernel answered; 0 means the same again. */
  private long progress(long page, long asked, String name, FillResult result)
      throws ResolveException {
    switch (result.outcome()) {
      case COMPLETED:
        return asked;
      case INTERRUPTED:
        return interrupted(result.doneBytes() >>> Pages.SHIFT);
      case ALREADY_RESOLVED:
        return alreadyResolved(page);
      case OUT_OF_MEMORY:
        LockSupport.parkNanos(OUT_OF_MEMORY_PAUSE_NANOS);
        return 0;
      default:
        throw new ResolveException(name, memory.layout().addressOf(page), result);
    }
  }

  private long interrupted(long donePages) {
    if (donePages == 0) {
      pendingEvents.run();
    }
    return donePages;
  }

  /** Another program resolved the page before us; whoever waits for it must not wait for ever. */
  private long alreadyResolved(long page) {
    wake(page);
    listener.alreadyResolved(memory.layout().addressOf(page));
    return 1;
  }

  /**
   * Counts what was done before this process began.
   *
   * @param present pages that are in place; whether as data or as zeros, nobody knows any more
   * @param empty pages that were given back
   */
  void inherit(long present, long empty) {
    counts.addData(present);
    counts.addGivenBack(empty);
    countDown(present + empty);
  }

  /** Counts markers that are in place, with their entries on disk, since before this process. */
  void inheritMarked(PageRun run) {
    synchronized (marked) {
      marked.add(run);
    }
    counts.addPoisoned(run.pageCount());
    countDown(run.pageCount());
  }

  /** Places markers on pages that the caller moved to POISONED, with their entries on disk. */
  void poison(PageSet claimed) throws ResolveException {
    List<PageRun> runs = new ArrayList<>();
    claimed.forEachRun(runs::add);
    poison(runs);
  }

  /** The same for many runs, in ascending order. */
  void poison(List<PageRun> claimed) throws ResolveException {
    synchronized (marked) {
      claimed.forEach(marked::add);
    }
    SharedWork.over(claimed, this::markAll);
  }

  private void markAll(List<PageRun> runs) throws ResolveException {
    for (PageRun run : runs) {
      mark(run);
    }
  }

  /** The same for pages next to each other. */
  void poison(PageRun claimed) throws ResolveException {
    synchronized (marked) {
      marked.add(claimed);
    }
    mark(claimed);
  }

  private void mark(PageRun run) throws ResolveException {
    if (sparesGivenBack) {
      markersWhereKept(run);
    } else {
      markers(run);
    }
    counts.addPoisoned(run.pageCount());
    settled(run.firstPage(), run.pageCount());
  }

  /**
   * Places a marker again on a poisoned page that the guest gave back; nothing if its first marker
   * is still to come.
   */
  void markAgain(long page) throws ResolveException {
    if (isMarked(page)) {
      markers(new PageRun(page, 1));
      listener.woken(page, 1);
    }
  }

  /**
   * Wakes whoever waits for a poisoned page, unless its marker is still to come and wakes them. The
   * kernel takes a marker for an empty entry when it decides whether a fault waits ({@code
   * userfaultfd_must_wait} in fs/userfaultfd.c), so a fault may begin to wait after the marker has
   * woken everyone, and nothing else would ever wake it.
   */
  void wakeIfMarked(long page) {
    if (isMarked(page)) {
      revive(page);
    }
  }

  /**
   * Makes the caller the one that poisons a page whose content is here, but in a huge page that the
   * guest cannot get any more, because another part of it is lost.
   *
   * @return false if the page stays what it is
   */
  boolean withdraw(long page) {
    if (table.get(page) != PageTable.State.PRESENT || givenBack.contains(page)) {
      return false;
    }
    unresolved.incrementAndGet(); // before: nothing may look complete until its marker is in place
    switch (filler.withdraw(memory.hostAddressOf(page))) {
      case NONE -> {
        countDown(1);
        return false;
      }
      case DATA -> counts.withdrawData(1);
      case ZEROS -> counts.withdrawZero(1);
    }
    return table.withdraw(page);
  }

  /** Whether a poisoned page's entry is on disk, so that it may have its marker. */
  boolean isMarked(long page) {
    synchronized (marked) {
      return marked.contains(page);
    }
  }

  /**
   * Whoever waits for a page that was given back touches it again, and finds out what it is now.
   */
  private void markersWhereKept(PageRun run) throws ResolveException {
    long done = 0;
    while (done < run.pageCount()) {
      long page = run.firstPage() + done;
      long count = Math.min(run.pageCount() - done, memory.layout().pagesLeftInRegion(page));
      place(page, count, "a poison marker", this::poisonPages);
      done += count;
    }
  }

  private FillResult poisonPages(long page, long count) {
    return filler.poison(memory.hostAddressOf(page), Pages.bytes(count));
  }

  /** Places markers, where poison is on disk. */
  void markers(PageRun run) throws ResolveException {
    long done = 0;
    while (done < run.pageCount()) {
      long page = run.firstPage() + done;
      long count = Math.min(run.pageCount() - done, memory.layout().pagesLeftInRegion(page));
      done += progress(page, count, "a poison marker", poisonPages(page, count));
    }
  }

  /** The next touch of a page that the guest gave back reads zeros, as from a fresh page. */
  void freshZero(long page) throws ResolveException {
    while (progress(page, 1, "UFFDIO_ZEROPAGE", renew(page)) == 0) {
      Thread.onSpinWait();
    }
    listener.woken(page, 1);
  }

  private FillResult renew(long page) {
    return filler.renew(memory.hostAddressOf(page), Pages.SIZE_BYTES);
  }

  /** Lets threads look again that wait for a page which has its content, or its one writer. */
  void revive(long page) {
    filler.revive(memory.hostAddressOf(page), Pages.SIZE_BYTES);
    listener.woken(page, 1);
  }

  /** Lets threads that wait for a page look again. */
  void wake(long page) {
    filler.wake(memory.hostAddressOf(page), Pages.SIZE_BYTES);
    listener.woken(page, 1);
  }

  /** As {@link #wake(long)}; the run lies in one region. */
  private void wake(PageRun run) {
    filler.wake(memory.hostAddressOf(run.firstPage()), Pages.bytes(run.pageCount()));
    listener.woken(run.firstPage(), run.pageCount());
  }

  /**
   * Takes pages that the guest gave back before they came; the source's bytes are not wanted. A
   * thread that waits for one of them touches it again, and finds what a page given back holds.
   *
   * @param run in one region
   */
  void giveBackUnresolved(PageRun run) {
    long taken = 0;
    long page = table.nextUnclaimed(run.firstPage(), run.endPage());
    while (page < run.endPage()) {
      taken += table.claim(page, run.endPage());
      page = table.nextUnclaimed(page, run.endPage());
    }
    if (taken > 0) {
      wake(run);
      counts.addGivenBack(taken);
      countDown(taken);
    }
  }

  /** The ioctl of the last of them has woken whoever waited. */
  private void settled(long firstPage, long pages) {
    listener.woken(firstPage, pages);
    countDown(pages);
  }

  private void countDown(long pages) {
    if (unresolved.addAndGet(-pages) == 0 && pages > 0) {
      whenAllResolved.run();
    }
  }
}
