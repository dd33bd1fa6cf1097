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
 * Gives one vCPU its machine checks, in order, and never one that it cannot take.
 *
 * <p>{@code KVM_X86_SET_MCE} answers 0 and yet shuts the guest down while MCG_STATUS.MCIP is set or
 * CR4.MCE clear ({@code kvm_vcpu_ioctl_x86_set_mce} in arch/x86/kvm/x86.c), so both are read first.
 * An optional error waits then. A required one cannot: the same access would only meet it again.
 *
 * <p>Used by the vCPU's thread only.
 */
final class MachineCheckInjector {

  private static final Logger LOG = LoggerFactory.getLogger(MachineCheckInjector.class);

  private final MachineCheckTarget target;
  private final CpuVendor vendor;
  private final GuestMemory memory;
  private final MemoryErrors errors;
  private final Queue<MemoryError> waiting = new ArrayDeque<>();

  MachineCheckInjector(
      MachineCheckTarget target, CpuVendor vendor, GuestMemory memory, MemoryErrors errors) {
    this.target = target;
    this.vendor = vendor;
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
    Optional<String> obstacle = obstacle();
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
    while (!waiting.isEmpty() && obstacle().isEmpty()) {
      inject(waiting.remove());
    }
  }

  boolean hasWaiting() {
    return !waiting.isEmpty();
  }

  private Optional<String> obstacle() throws KernelCallException {
    if (target.isMachineCheckInProgress()) {
      return Optional.of("a machine check was in progress (MCG_STATUS.MCIP set)");
    }
    return target.takesMachineChecks()
        ? Optional.empty()
        : Optional.of("machine checks were disabled (CR4.MCE clear)");
  }

  private void inject(MemoryError error) throws KernelCallException {
    MachineCheck check = MachineChecks.encode(vendor, error);
    target.deliver(check);
    LOG.info(
        "memory error at {} (HVA {}, lsb {}, {}, from {}) -> machine check {} on vCPU {}",
        error.place(),
        hostAddress(error.guestPhysicalAddress()),
        error.lsb(),
        error.severity(),
        error.input(),
        check,
        error.vcpu());
    errors.injected(error, check);
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
