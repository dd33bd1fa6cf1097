package ward.destination;

import io.netty.buffer.ByteBuf;
import java.util.List;
import java.util.OptionalLong;
import java.util.function.BiConsumer;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.PoisonEntry;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.ProtocolException;

/** What the source says about pages, on demand and in the background, turned into page changes. */
final class PageAnswers {

  private static final long NOT_YET_MILLIS = 5;
  private static final long FAILED_MILLIS = 500;

  /** A burst of interference is over by then. */
  private static final long DAMAGED_MILLIS = 5;

  /** A page that comes damaged so often, one time after the other, will not come whole. */
  static final int DAMAGED_TIMES_MAX = 3;

  /** Asks again for a page after a pause. */
  interface Retry {
    void later(long requestId, long delayMillis);
  }

  /**
   * What an answer acts on.
   *
   * @param flushRequests sends the requests that {@code faults} has written
   */
  record Parts(
      GuestLayout layout,
      PageFaults faults,
      PageResolver resolver,
      PoisonRecorder recorder,
      Runnable flushRequests) {}

  private final Parts parts;
  private final DestinationListener listener;
  private final Retry retry;
  private final BiConsumer<PageSet, PageSet> onPoison;

  /**
   * @param onPoison given the guest frame numbers that are poisoned and that were held
   */
  PageAnswers(
      Parts parts,
      DestinationListener listener,
      Retry retry,
      BiConsumer<PageSet, PageSet> onPoison) {
    this.parts = parts;
    this.listener = listener;
    this.retry = retry;
    this.onPoison = onPoison;
  }

  /**
   * An answer to a request.
   *
   * @throws ProtocolException if nobody asked, the answer contradicts the layout, or it has come
   *     damaged too often
   */
  void onDemand(PageAnswer answer) throws ResolveException {
    long page =
        parts
            .faults()
            .expected(answer.requestId(), answer.guestPhysicalAddress(), answer.pageCount());
    if (answer instanceof PageAnswer.Poisoned poisoned) {
      poisoned(poisoned, () -> answered(answer));
    } else if (answer instanceof PageAnswer.NotYet) {
      retryAll(answer, NOT_YET_MILLIS);
    } else if (answer instanceof PageAnswer.Failed failed) {
      listener.sourceFailed(answer.guestPhysicalAddress(), failed.reason());
      retryAll(answer, FAILED_MILLIS);
    } else if (answer instanceof PageAnswer.Damaged damaged) {
      damagedOnDemand(damaged);
    } else if (answer instanceof PageAnswer.OutOfRange) {
      throw new ProtocolException(
          "the source calls guest-physical address 0x%x out of range, which its own layout contains"
              .formatted(answer.guestPhysicalAddress()));
    } else {
      content(answer, new PageRun(page, answer.pageCount()));
      answered(answer);
    }
  }

  private void answered(PageAnswer answer) {
    parts.faults().answered(answer.requestId(), answer.pageCount());
  }

  private void retryAll(PageAnswer answer, long delayMillis) {
    for (int i = 0; i < answer.pageCount(); i++) {
      retry.later(answer.requestId() + i, delayMillis);
    }
  }

  /**
   * The answer that nearly every request gets: the bytes of its page, or of several requests'
   * pages.
   *
   * @param address where they are
   * @throws ProtocolException if nobody asked
   */
  void onDemand(long requestId, long guestPhysicalAddress, int pageCount, long address)
      throws ResolveException {
    long page = parts.faults().expected(requestId, guestPhysicalAddress, pageCount);
    if (pageCount > 1) {
      PageRun run = new PageRun(page, pageCount);
      known(parts.resolver().data(run, address), run);
    } else if (!parts.resolver().page(page, address)) {
      listener.duplicate(1);
    }
    parts.faults().answered(requestId, pageCount);
  }

  /**
   * Pages that the source sends by itself.
   *
   * @throws ProtocolException if they are outside the layout, or claim to answer a request
   */
  void inBackground(PageAnswer answer) throws ResolveException {
    requireUnasked(answer.requestId());
    PageRun run = requireInLayout(answer.guestPhysicalAddress(), answer.pageCount());
    if (answer instanceof PageAnswer.Poisoned poisoned) {
      parts.recorder().awaitRoom();
      poisoned(poisoned, () -> {});
    } else if (answer instanceof PageAnswer.Data || answer instanceof PageAnswer.Zero) {
      listener.streamed(content(answer, run));
    } else if (answer instanceof PageAnswer.Damaged damaged) {
      damagedInBackground(damaged, run);
    } else {
      throw new ProtocolException(
          "%s on a stream connection, which carries pages and poison only"
              .formatted(answer.getClass().getSimpleName()));
    }
  }

  /**
   * What the source sends by itself nearly always: the bytes of pages.
   *
   * @param address where they are, in memory that they may be moved out of
   * @throws ProtocolException as the other
   */
  void inBackground(long requestId, long guestPhysicalAddress, int pageCount, long address)
      throws ResolveException {
    requireUnasked(requestId);
    PageRun run = requireInLayout(guestPhysicalAddress, pageCount);
    listener.streamed(known(parts.resolver().staged(run, address), run));
  }

  /**
   * The same of pages of which some are zeros.
   *
   * @throws ProtocolException as the other
   */
  void inBackground(MixedPages pages) throws ResolveException {
    requireUnasked(pages.requestId());
    PageRun run = requireInLayout(pages.guestPhysicalAddress(), pages.pageCount());
    listener.streamed(known(parts.resolver().mixed(run, pages), run));
  }

  private static void requireUnasked(long requestId) {
    if (requestId != 0) {
      throw new ProtocolException(
          "an answer nobody asked for: request %d on a stream connection".formatted(requestId));
    }
  }

  private void damagedOnDemand(PageAnswer.Damaged answer) {
    int times = 0;
    int again = 0;
    for (int i = 0; i < answer.pageCount(); i++) {
      int each = parts.faults().cameDamaged(answer.requestId() + i);
      times = Math.max(times, each);
      again += each > 0 && each < DAMAGED_TIMES_MAX ? 1 : 0;
    }
    listener.damaged(answer.guestPhysicalAddress(), again, answer.disagreement());
    if (times >= DAMAGED_TIMES_MAX) {
      throw new ProtocolException(
          "%s at guest-physical address 0x%x came damaged %d times, the last time as follows: %s; the network, or the memory of one of the two hosts, changes what it carries"
              .formatted(
                  answer.pageCount() == 1
                      ? "the page"
                      : "one of %d pages".formatted(answer.pageCount()),
                  answer.guestPhysicalAddress(),
                  times,
                  answer.disagreement()));
    }
    retryAll(answer, DAMAGED_MILLIS);
  }

  private void damagedInBackground(PageAnswer.Damaged answer, PageRun run) {
    long asked = parts.faults().askAfterDamage(run);
    parts.flushRequests().run();
    listener.damaged(answer.guestPhysicalAddress(), asked, answer.disagreement());
  }

  /**
   * @throws ProtocolException if an entry is not RAM throughout
   */
  static void requireInLayout(GuestLayout layout, List<PoisonEntry> entries) {
    for (PoisonEntry entry : entries) {
      long pages = 1L << (entry.pageShift() - PoisonEntry.MIN_PAGE_SHIFT);
      if (layout.runAt(entry.guestPhysicalAddress(), pages).isEmpty()) {
        throw new ProtocolException(
            "poison at guest-physical address 0x%x, %d pages, is outside the guest's memory"
                .formatted(entry.guestPhysicalAddress(), pages));
      }
    }
  }

  private PageRun requireInLayout(long guestPhysicalAddress, int pageCount) {
    OptionalLong first = parts.layout().runAt(guestPhysicalAddress, pageCount);
    if (first.isEmpty()) {
      throw new ProtocolException(
          "%d pages at guest-physical address 0x%x are outside the guest's memory"
              .formatted(pageCount, guestPhysicalAddress));
    }
    return new PageRun(first.getAsLong(), pageCount);
  }

  private long content(PageAnswer answer, PageRun run) throws ResolveException {
    long placed;
    if (answer instanceof PageAnswer.Data data) {
      ByteBuf body = data.body();
      placed = parts.resolver().data(run, body.memoryAddress() + body.readerIndex());
    } else {
      placed = parts.resolver().zero(run);
    }
    return known(placed, run);
  }

  /** Tells of the pages that had another writer. */
  private long known(long placed, PageRun run) {
    if (placed < run.pageCount()) {
      listener.duplicate(run.pageCount() - placed);
    }
    return placed;
  }

  private void poisoned(PageAnswer.Poisoned answer, Runnable whenDone) {
    List<PoisonEntry> entries = answer.entries();
    requireInLayout(parts.layout(), entries);
    parts
        .recorder()
        .accept(
            entries,
            (poisoned, held) -> {
              whenDone.run();
              onPoison.accept(poisoned, held);
            });
  }
}
