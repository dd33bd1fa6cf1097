package ward.destination;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import java.util.function.Supplier;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;

/**
 * The demand path: a fault becomes one request, and an answer is believed only if it was asked for.
 *
 * <p>Retries keep a page {@link PageTable.State#REQUESTED}: what the source cannot tell is neither
 * zeros nor poison.
 */
final class PageFaults {

  /**
   * @param sentIn the last attempt in which it was sent: once in each, whoever comes first
   * @param damaged how often the page has come damaged, one time after the other
   */
  private record Asked(long page, long startNanos, AtomicInteger sentIn, int damaged) {

    Asked(long page, int damaged) {
      this(page, System.nanoTime(), new AtomicInteger(), damaged);
    }

    Asked damagedOnceMore() {
      return new Asked(page, startNanos, sentIn, damaged + 1);
    }

    /** The same, as a request that was never sent. */
    Asked anew() {
      return new Asked(page, startNanos, new AtomicInteger(), damaged);
    }
  }

  private final GuestLayout layout;
  private final PageTable table;
  private final PageResolver resolver;
  private final GivenBack givenBack;
  private final GivenUp givenUp;
  private final DestinationListener listener;
  private final Supplier<RequestLine.Line> line;
  private final AtomicLong lastId = new AtomicLong();
  private final ConcurrentHashMap<Long, Asked> outstanding = new ConcurrentHashMap<>();

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
      ask(new Asked(page, 0));
    } else {
      onFault(page, onFailure); // another thread moved it on; states only move forward
    }
  }

  /** Either a second event for a page that has come since, or the guest gave the page back. */
  private void afterPresent(long page, Consumer<Throwable> onFailure) throws ResolveException {
    if (!givenBack.contains(page)) {
      resolver.wake(page);
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
        ask(new Asked(page, 1));
        asked++;
      }
    }
    return asked;
  }

  private void ask(Asked asked) {
    long id = lastId.incrementAndGet();
    outstanding.put(id, asked); // before the line is looked at: askAll() finds it, or it is sent
    send(id, asked);
  }

  private void send(long id, Asked asked) {
    RequestLine.Line present = line.get();
    if (asked.sentIn().getAndAccumulate(present.attempt(), Math::max) < present.attempt()) {
      present.write(new PageRequest(id, layout.addressOf(asked.page()), 1));
    }
  }

  /** Sends every open request that the present connection has not carried yet. */
  void askAll() {
    outstanding.forEach(this::send);
  }

  /**
   * Matches an answer with its request.
   *
   * @return the page
   * @throws ProtocolException if nobody asked
   */
  long expected(PageAnswer answer) {
    Asked asked = outstanding.get(answer.requestId());
    if (asked == null
        || answer.pageCount() != 1
        || layout.addressOf(asked.page()) != answer.guestPhysicalAddress()) {
      throw new ProtocolException(
          "an answer nobody asked for: request %d, guest-physical address 0x%x, %d pages; %d requests are open"
              .formatted(
                  answer.requestId(),
                  answer.guestPhysicalAddress(),
                  answer.pageCount(),
                  outstanding.size()));
    }
    return asked.page();
  }

  /** The answer was dealt with. */
  void answered(long requestId) {
    Asked asked = outstanding.remove(requestId);
    if (asked != null) {
      listener.faultResolved(System.nanoTime() - asked.startNanos());
    }
  }

  /**
   * The answer came damaged.
   *
   * @return how often its page has by now; 0 if the page was resolved otherwise meanwhile
   */
  int cameDamaged(long requestId) {
    Asked asked = outstanding.computeIfPresent(requestId, (id, last) -> last.damagedOnceMore());
    return asked != null && isWaitedFor(asked) ? asked.damaged() : 0;
  }

  private boolean isWaitedFor(Asked asked) {
    return table.get(asked.page()) == PageTable.State.REQUESTED;
  }

  /** Asks again for a page whose answer was no content. */
  void askAgain(long requestId) {
    Asked asked = outstanding.remove(requestId);
    if (asked != null && isWaitedFor(asked)) {
      ask(asked.anew());
    }
  }
}
