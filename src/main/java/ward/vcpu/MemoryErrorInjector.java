package ward.vcpu;

import java.io.IOException;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.concurrent.ConcurrentLinkedDeque;
import ward.guest.GuestMemory;
import ward.kernel.KernelCallException;
import ward.poison.Severity;

/**
 * Tells one vCPU of its memory errors, in order, and never of one that it cannot take.
 *
 * <p>An optional error waits until it can. A required one cannot wait: the same access would only
 * meet it again.
 *
 * <p>Used by the vCPU's thread only, but for {@link #await}.
 */
final class MemoryErrorInjector {

  private final Processor processor;
  private final GuestMemory memory;
  private final MemoryErrors errors;
  private final Runnable interruptOthers;
  private final Deque<MemoryError> waiting = new ConcurrentLinkedDeque<>();
  private volatile MemoryError delivering; // null while none is

  /**
   * @param interruptOthers tells the guest's other vCPUs that this one was told of an error
   */
  MemoryErrorInjector(
      Processor processor, GuestMemory memory, MemoryErrors errors, Runnable interruptOthers) {
    this.processor = processor;
    this.memory = memory;
    this.errors = errors;
    this.interruptOthers = interruptOthers;
  }

  /**
   * Records the error, then delivers a required one. An optional one waits for {@link
   * #deliverWaiting()}: delivered here, it would stand in the way of a required one whose signal is
   * taken next, and that would shut the guest down.
   *
   * @return why the guest must be shut down instead, as hardware would; empty if it goes on
   */
  Optional<String> report(MemoryError error) throws IOException {
    errors.consumed(error);
    if (error.severity() == Severity.ACTION_OPTIONAL) {
      await(error);
      return Optional.empty();
    }
    Optional<String> obstacle = processor.obstacle(error);
    if (obstacle.isEmpty() && processor.prepare(error)) {
      processor.withdrawUnread().ifPresent(waiting::addFirst);
      dropWarningsOf(error);
      inject(error);
    }
    return obstacle.map(reason -> givenUp(error, reason));
  }

  private String givenUp(MemoryError error, String obstacle) {
    String reason =
        "vCPU %d consumed poison at %s while %s".formatted(error.vcpu(), error.place(), obstacle);
    errors.givenUp(error, reason);
    return reason;
  }

  /** Of the loss that it meets now the guest need not be warned any more. */
  private void dropWarningsOf(MemoryError met) {
    if (met.guestPhysicalAddress().isPresent()) {
      waiting.removeIf(
          warning ->
              warning.severity() == Severity.ACTION_OPTIONAL
                  && warning.guestPhysicalAddress().equals(met.guestPhysicalAddress()));
    }
  }

  /**
   * Lets an error wait that is in the books already, or belongs into none. From any thread, which
   * then kicks the vCPU.
   */
  void await(MemoryError error) {
    waiting.add(error);
  }

  /**
   * Delivers errors that waited, as many as the guest can take now.
   *
   * @return whether there was one
   */
  boolean deliverWaiting() throws KernelCallException {
    boolean delivered = false;
    processor.show();
    while (!waiting.isEmpty() && processor.obstacle(waiting.element()).isEmpty()) {
      deliverFirst();
      delivered = true;
    }
    return delivered;
  }

  /** Nobody finds it heard of before it is in the books, with its time. */
  private void deliverFirst() throws KernelCallException {
    delivering = waiting.element();
    try {
      inject(waiting.remove());
    } finally {
      delivering = null;
    }
  }

  /** Errors of which the guest has not heard yet, in order. */
  List<MemoryError> waiting() {
    List<MemoryError> all = new ArrayList<>(processor.unseen());
    all.addAll(waiting);
    return all;
  }

  /** Takes over what waited on the host that the guest comes from; it is in the books already. */
  void inherit(List<MemoryError> errors) {
    waiting.addAll(errors);
  }

  boolean hasWaiting() {
    return !waiting.isEmpty() || !processor.unseen().isEmpty();
  }

  boolean hasWaiting(MemoryError.Input input) {
    boolean waits = waiting.stream().anyMatch(error -> error.input() == input);
    MemoryError now = delivering; // looked at second: it is set before it leaves the others
    return waits || now != null && now.input() == input;
  }

  /**
   * Takes back one interrupt that came from another vCPU and that the guest has not taken; from any
   * thread.
   *
   * @return whether there was one
   */
  boolean dropInterrupt() {
    return waiting.stream()
        .filter(error -> error.input() == MemoryError.Input.BROADCAST)
        .findFirst()
        .map(waiting::remove)
        .orElse(false);
  }

  private void inject(MemoryError error) throws KernelCallException {
    Injection injection = processor.inject(error);
    MemoryErrorEvent event =
        new MemoryErrorEvent(
            Instant.now(), error, hostAddress(error.guestPhysicalAddress()), injection);
    errors.injected(event);
    if (error.input() != MemoryError.Input.BROADCAST && processor.interruptsAll()) {
      interruptOthers.run();
    }
  }

  private OptionalLong hostAddress(OptionalLong guestPhysicalAddress) {
    return guestPhysicalAddress.isEmpty()
        ? OptionalLong.empty()
        : OptionalLong.of(
            memory.hostAddressOf(
                memory.layout().pageAt(guestPhysicalAddress.getAsLong()).orElseThrow()));
  }
}
