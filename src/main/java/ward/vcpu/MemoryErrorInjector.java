package ward.vcpu;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.Queue;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.kernel.KernelCallException;
import ward.poison.Severity;

/**
 * Tells one vCPU of its memory errors, in order, and never of one that it cannot take.
 *
 * <p>An optional error waits until it can. A required one cannot wait: the same access would only
 * meet it again.
 *
 * <p>Used by the vCPU's thread only.
 */
final class MemoryErrorInjector {

  private static final Logger LOG = LoggerFactory.getLogger(MemoryErrorInjector.class);

  private final Processor processor;
  private final GuestMemory memory;
  private final MemoryErrors errors;
  private final Queue<MemoryError> waiting = new ArrayDeque<>();

  MemoryErrorInjector(Processor processor, GuestMemory memory, MemoryErrors errors) {
    this.processor = processor;
    this.memory = memory;
    this.errors = errors;
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
      waiting.add(error);
      return Optional.empty();
    }
    Optional<String> obstacle = processor.obstacle(error);
    if (obstacle.isEmpty()) {
      inject(error);
    }
    return obstacle.map(
        reason ->
            "vCPU %d consumed poison at %s while %s"
                .formatted(error.vcpu(), error.place(), reason));
  }

  /** Delivers errors that waited, as many as the guest can take now. */
  void deliverWaiting() throws KernelCallException {
    while (!waiting.isEmpty() && processor.obstacle(waiting.element()).isEmpty()) {
      inject(waiting.remove());
    }
  }

  boolean hasWaiting() {
    return !waiting.isEmpty();
  }

  private void inject(MemoryError error) throws KernelCallException {
    Injection injection = processor.inject(error);
    LOG.info(
        "memory error at {} (HVA {}, lsb {}, {}, from {}) -> {} on vCPU {}",
        error.place(),
        hostAddress(error.guestPhysicalAddress()),
        error.lsb(),
        error.severity(),
        error.input(),
        injection,
        error.vcpu());
    errors.injected(error, injection);
  }

  private String hostAddress(OptionalLong guestPhysicalAddress) {
    return guestPhysicalAddress.isEmpty()
        ? "unknown"
        : "0x%x"
            .formatted(
                memory.hostAddressOf(
                    memory.layout().pageAt(guestPhysicalAddress.getAsLong()).orElseThrow()));
  }
}
