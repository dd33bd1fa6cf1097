package ward.destination;

import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import ward.memory.GuestLayout;
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

  private record Asked(long page, long startNanos) {}

  private final GuestLayout layout;
  private final PageTable table;
  private final PageResolver resolver;
  private final GivenBack givenBack;
  private final DestinationListener listener;
  private final Consumer<PageRequest> requests;
  private final AtomicLong lastId = new AtomicLong();
  private final ConcurrentHashMap<Long, Asked> outstanding = new ConcurrentHashMap<>();

  /**
   * @param requests writes a request on the urgent connection; may be called from any thread
   */
  PageFaults(
      GuestLayout layout,
      PageTable table,
      PageResolver resolver,
      GivenBack givenBack,
      DestinationListener listener,
      Consumer<PageRequest> requests) {
    this.layout = layout;
    this.table = table;
    this.resolver = resolver;
    this.givenBack = givenBack;
    this.listener = listener;
    this.requests = requests;
  }

  /** A thread of the guest waits for a page. */
  void onFault(long page, Consumer<Throwable> onFailure) {
    try {
      switch (table.get(page)) {
        case MISSING -> requestOnce(page, onFailure);
        case REQUESTED -> {} // its answer is on the way
        case PRESENT -> afterPresent(page);
        case POISONED -> afterPoisoned(page);
      }
    } catch (ResolveException e) {
      onFailure.accept(e);
    }
  }

  private void requestOnce(long page, Consumer<Throwable> onFailure) {
    if (table.request(page)) {
      ask(page, System.nanoTime());
    } else {
      onFault(page, onFailure); // another thread moved it on; states only move forward
    }
  }

  /** Either a second event for a page that has come since, or the guest gave the page back. */
  private void afterPresent(long page) throws ResolveException {
    if (givenBack.contains(page)) {
      resolver.freshZero(page);
    } else {
      resolver.wake(page);
    }
  }

  /** The marker is gone only if the guest gave the page back: poison outlives that. */
  private void afterPoisoned(long page) throws ResolveException {
    if (givenBack.contains(page)) {
      resolver.markAgain(page);
    } else {
      resolver.wakeIfMarked(page);
    }
  }

  private void ask(long page, long startNanos) {
    long id = lastId.incrementAndGet();
    outstanding.put(id, new Asked(page, startNanos));
    requests.accept(new PageRequest(id, layout.addressOf(page), 1));
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

  /** Asks again for a page whose answer was no content. */
  void askAgain(long requestId) {
    Asked asked = outstanding.remove(requestId);
    if (asked != null && table.get(asked.page()) == PageTable.State.REQUESTED) {
      ask(asked.page(), asked.startNanos());
    }
  }
}
