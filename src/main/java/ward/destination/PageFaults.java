package ward.destination;

import java.util.Arrays;
import java.util.function.Consumer;
import java.util.function.Supplier;
import java.util.stream.LongStream;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;

/**
 * The demand path: a fault becomes one request, or one for each page of a huge page, and an answer
 * is believed only if it was asked for.
 *
 * <p>Retries keep a page {@link PageTable.State#REQUESTED}: what the source cannot tell is neither
 * zeros nor poison.
 */
final class PageFaults {

  private final GuestLayout layout;
  private final PageTable table;
  private final PageResolver resolver;
  private final GivenBack givenBack;
  private final GivenUp givenUp;
  private final DestinationListener listener;
  private final Supplier<RequestLine.Line> line;
  private final OpenRequests open = new OpenRequests();

  /**
   * @param line the urgent connection of the moment; asked from any thread
   */
  PageFaults(
      GuestLayout layout,
      PageTable table,
      PageResolver resolver,
      GivenBack givenBack,
      GivenUp givenUp,
      DestinationListener listener,
      Supplier<RequestLine.Line> line) {
    this.layout = layout;
    this.table = table;
    this.resolver = resolver;
    this.givenBack = givenBack;
    this.givenUp = givenUp;
    this.listener = listener;
    this.line = line;
  }

  /** A thread of the guest waits for a page. */
  void onFault(long page, Consumer<Throwable> onFailure) {
    try {
      switch (table.get(page)) {
        case MISSING -> requestOnce(page, onFailure);
        case REQUESTED -> {} // its answer is on the way
        case PRESENT -> afterPresent(page, onFailure);
        case POISONED -> afterPoisoned(page, onFailure);
      }
    } catch (ResolveException e) {
      onFailure.accept(e);
    }
  }

  private void requestOnce(long page, Consumer<Throwable> onFailure) {
    if (table.request(page)) {
      ask(page, System.nanoTime(), 0);
    } else {
      onFault(page, onFailure); // another thread moved it on; states only move forward
    }
  }

  /**
   * A second event for a page that has come since, or one that the kernel has unmapped, or the
   * guest gave the page back.
   */
  private void afterPresent(long page, Consumer<Throwable> onFailure) throws ResolveException {
    if (!givenBack.contains(page)) {
      resolver.revive(page);
    } else if (givenUp.isLost(page)) { // by this host, after its content had come
      afterGivenBack(page, () -> resolver.markers(new PageRun(page, 1)), onFailure);
    } else {
      resolver.freshZero(page);
    }
  }

  /** The marker is gone only if the guest gave the page back. */
  private void afterPoisoned(long page, Consumer<Throwable> onFailure) throws ResolveException {
    if (givenUp.contains(page)) {
      resolver.freshZero(page);
    } else if (!givenBack.contains(page)) {
      resolver.wakeIfMarked(page);
    } else if (resolver.isMarked(page)) {
      afterGivenBack(page, () -> resolver.markAgain(page), onFailure);
    } // else its entry is on the way to the disk, and what comes then wakes whoever waits
  }

  private interface Marking {
    void place() throws ResolveException;
  }

  /**
   * Poison outlives being given back, unless the operator wants otherwise and the ledger says so.
   */
  private void afterGivenBack(long page, Marking marking, Consumer<Throwable> onFailure)
      throws ResolveException {
    if (givenUp.isAllowed()) {
      givenUp.request(page, written -> decided(page, written, marking, onFailure));
    } else {
      marking.place();
    }
  }

  private void decided(long page, boolean written, Marking marking, Consumer<Throwable> onFailure) {
    try {
      if (written) {
        resolver.freshZero(page);
      } else {
        marking.place();
      }
    } catch (ResolveException e) {
      onFailure.accept(e);
    }
  }

  /**
   * Asks for pages that came damaged before anybody had asked for them.
   *
   * @return for how many; the others are asked for already, or resolved
   */
  long askAfterDamage(PageRun run) {
    long asked = 0;
    for (long page = run.firstPage(); page < run.endPage(); page++) {
      if (table.request(page)) {
        ask(page, System.nanoTime(), 1);
        asked++;
      }
    }
    return asked;
  }

  private void ask(long page, long sinceNanos, int timesDamaged) {
    // Open before the line is looked at: askAll() finds it, or it is sent.
    send(open.open(page, sinceNanos, timesDamaged));
  }

  /**
   * A thread waits for all pages of a run. Those that nobody has asked for are asked for now, those
   * next to each other by one frame.
   */
  void ask(PageRun run) {
    long now = System.nanoTime();
    sendAll(
        LongStream.range(run.firstPage(), run.endPage())
            .filter(table::request)
            .map(page -> open.open(page, now, 0))
            .toArray());
  }

  private void send(long request) {
    RequestLine.Line present = line.get();
    long page = open.page(request);
    if (page != OpenRequests.NONE && open.claimSending(request, present.attempt())) {
      present.write(request, layout.addressOf(page), 1);
    }
  }

  /**
   * @param requests ascending
   */
  private void sendAll(long[] requests) {
    RequestLine.Line present = line.get();
    int done = 0;
    while (done < requests.length) {
      long page = open.page(requests[done]);
      int count = page == OpenRequests.NONE ? 0 : claimTogether(present, requests, done, page);
      if (count > 0) {
        present.write(requests[done], layout.addressOf(page), count);
      }
      done += Math.max(1, count);
    }
  }

  /** How many requests, from one on, are to be sent now, and are about pages next to each other. */
  private int claimTogether(RequestLine.Line present, long[] requests, int from, long firstPage) {
    long most = Math.min(PageRequest.PAGE_COUNT_MAX, layout.pagesLeftInRegion(firstPage));
    long request = requests[from];
    int count = 0;
    while (count < Math.min(most, requests.length - from)
        && requests[from + count] == request + count
        && open.page(request + count) == firstPage + count
        && open.claimSending(request + count, present.attempt())) {
      count++;
    }
    return count;
  }

  /** Requests that have no answer yet. */
  int openCount() {
    return open.count();
  }

  /** Sends every open request that the present connection has not carried yet. */
  void askAll() {
    long[] all = open.all();
    Arrays.sort(all);
    sendAll(all);
  }

  /**
   * Matches an answer with its request, or with as many requests as it answers.
   *
   * @return the first page
   * @throws ProtocolException if nobody asked
   */
  long expected(long requestId, long guestPhysicalAddress, int pageCount) {
    long page = open.page(requestId);
    if (page == OpenRequests.NONE
        || layout.addressOf(page) != guestPhysicalAddress
        || !areOpen(requestId, page, pageCount)) {
      throw new ProtocolException(
          "an answer nobody asked for: request %d, guest-physical address 0x%x, %d pages; %d requests are open"
              .formatted(requestId, guestPhysicalAddress, pageCount, open.count()));
    }
    return page;
  }

  /** The first one is. */
  private boolean areOpen(long requestId, long firstPage, int pageCount) {
    if (pageCount > layout.pagesLeftInRegion(firstPage)) {
      return false;
    }
    for (int i = 1; i < pageCount; i++) {
      if (open.page(requestId + i) != firstPage + i) {
        return false;
      }
    }
    return true;
  }

  /** The answer was dealt with; it may be one to several requests. */
  void answered(long requestId, int pageCount) {
    for (long request = requestId; request < requestId + pageCount; request++) {
      answered(request);
    }
  }

  private void answered(long requestId) {
    long startNanos = open.startNanos(requestId);
    if (open.close(requestId)) {
      listener.faultResolved(System.nanoTime() - startNanos);
    }
  }

  /**
   * The answer came damaged.
   *
   * @return how often its page has by now; 0 if the page was resolved otherwise meanwhile
   */
  int cameDamaged(long requestId) {
    open.cameDamaged(requestId);
    return isWaitedFor(open.page(requestId)) ? open.timesDamaged(requestId) : 0;
  }

  private boolean isWaitedFor(long page) {
    return page != OpenRequests.NONE && table.get(page) == PageTable.State.REQUESTED;
  }

  /** Asks again for a page whose answer was no content. */
  void askAgain(long requestId) {
    long page = open.page(requestId);
    long startNanos = open.startNanos(requestId);
    int timesDamaged = open.timesDamaged(requestId);
    if (open.close(requestId) && isWaitedFor(page)) {
      ask(page, startNanos, timesDamaged);
    }
  }
}
