package ward.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayDeque;
import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import java.util.Queue;
import java.util.concurrent.atomic.LongAdder;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.vcpu.MemoryError;
import ward.vcpu.MemoryErrorEvent;
import ward.vcpu.MemoryErrors;

/** Keeps a guest's ledger and the vCPUs' losses together, once the guest is known. */
final class GuestBooks implements MemoryErrors {

  /** A report is for people and scripts; all of them are in the log. */
  static final int EVENTS_MAX = 1000;

  private static final Logger log = LoggerFactory.getLogger(GuestBooks.class);
  private static final long RETRY_MILLIS = 250;

  private final Path directory;
  private final String host;
  private final Duration patience;
  private final LongAdder injected = new LongAdder();
  private final LongAdder fresh = new LongAdder();
  private final LongAdder announced = new LongAdder();
  private final Queue<MemoryErrorEvent> events = new ArrayDeque<>();
  private volatile LedgerJournal journal;
  private boolean waitedFor = true;

  /**
   * @param patience how long a loss is tried to be written for when the disk is full or fails
   */
  GuestBooks(Path directory, String host, Duration patience) {
    this.directory = directory;
    this.host = host;
    this.patience = patience;
  }

  /** Opens the ledger; what vCPUs meet from now on is compared with it. */
  LedgerJournal open(String guest) throws LedgerException {
    return keep(LedgerJournal.open(directory, guest));
  }

  LedgerJournal keep(LedgerJournal opened) {
    journal = opened;
    return opened;
  }

  /** The ledger that was opened last; null before. */
  LedgerJournal journal() {
    return journal;
  }

  @Override
  public boolean isKnown(long guestPhysicalAddress) {
    return journal.ledger().contains(guestPhysicalAddress);
  }

  @Override
  public OptionalInt lostExtentAt(long guestPhysicalAddress) {
    return journal.ledger().extentAt(guestPhysicalAddress);
  }

  /**
   * {@inheritDoc}
   *
   * <p>A loss that no ledger knew is this host's own. While the disk does not take it the vCPU
   * waits here: it can neither go on nor meet the loss again, for what it was about to do may be
   * half done.
   */
  @Override
  public void consumed(MemoryError error) throws IOException {
    OptionalLong address = error.guestPhysicalAddress();
    if (address.isPresent() && !isKnown(address.getAsLong())) {
      fresh.increment();
      record(entry(address.getAsLong(), error));
    }
  }

  private void record(PoisonEntry entry) throws LedgerException {
    long since = System.nanoTime();
    LedgerException refused = refusal(entry);
    if (refused != null) {
      log.warn(
          "{}; a vCPU that has met a loss waits until it is written: free or repair the disk within {} s",
          refused.getMessage(),
          patience.toSeconds());
    }
    while (refused != null) {
      if (!awaitRetry(since + patience.toNanos())) {
        throw refused;
      }
      refused = refusal(entry);
    }
  }

  /** Null if it was written. */
  private LedgerException refusal(PoisonEntry entry) throws LedgerException {
    try {
      journal.append(List.of(entry));
      return null;
    } catch (LedgerException e) {
      if (e.kind() != LedgerException.Kind.IO) {
        throw e;
      }
      return e;
    }
  }

  /** Whether there is time for another try. */
  private synchronized boolean awaitRetry(long deadline) {
    if (waitedFor && System.nanoTime() < deadline) {
      try {
        wait(RETRY_MILLIS);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
        return false;
      }
    }
    return waitedFor && System.nanoTime() < deadline;
  }

  /** Whoever waits for the disk is told that it is too late; for an operator's signal. */
  synchronized void stopWaiting() {
    waitedFor = false;
    notifyAll();
  }

  private PoisonEntry entry(long address, MemoryError error) {
    Origin origin = new Origin(host, Instant.now(), Origin.Discovery.CONSUMED);
    int shift =
        Math.min(Math.max(error.lsb(), PoisonEntry.MIN_PAGE_SHIFT), PoisonEntry.MAX_PAGE_SHIFT);
    return new PoisonEntry(address & -(1L << shift), shift, error.severity(), origin);
  }

  @Override
  public void injected(MemoryErrorEvent event) {
    switch (event.error().input()) {
      case ANNOUNCEMENT -> announced.increment();
      case BROADCAST, DEVICE_COPY -> {} // no loss that a vCPU met, or that it hears of first
      default -> injected.increment();
    }
    remember(event);
  }

  private synchronized void remember(MemoryErrorEvent event) {
    if (events.size() == EVENTS_MAX) {
      events.remove();
    }
    events.add(event);
  }

  /** How the guest heard of its losses, the latest {@value #EVENTS_MAX}. */
  synchronized List<MemoryErrorEvent> events() {
    return List.copyOf(events);
  }

  /** Lost pages that the guest was told of before it met them. */
  long announced() {
    return announced.sum();
  }

  /**
   * How often vCPUs were told of a loss that they had met, or that the host had found: without
   * {@link #announced()}, and without what other vCPUs and devices heard of it.
   */
  long injected() {
    return injected.sum();
  }

  /** Losses that no ledger knew before a vCPU met them. */
  long freshlyConsumed() {
    return fresh.sum();
  }
}
