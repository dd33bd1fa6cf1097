package ward.vcpu;

import java.util.Optional;
import java.util.OptionalLong;
import java.util.function.LongPredicate;
import ward.guest.GuestMemory;
import ward.kernel.Linux;
import ward.memory.Pages;
import ward.poison.Severity;

/**
 * What a vCPU thread makes of a signal or an exit that may be a memory error. The address decides
 * first: {@code si_code} depends on how the host's kernel was built.
 *
 * @param error present for {@link Kind#REPORT} only
 * @param reason for people; empty for {@link Kind#REPORT}
 */
record MemoryErrorDecision(Kind kind, Optional<MemoryError> error, String reason) {

  enum Kind {
    /** The guest has lost memory and must hear of it. */
    REPORT,
    /** Nothing happened to the guest. */
    IGNORE,
    /** The guest cannot go on, and telling it would not help. */
    FAIL
  }

  private static final int PAGE_LSB = 12;

  /**
   * Decides on a SIGBUS of the vCPU's own thread.
   *
   * @param code {@code si_code}
   * @param address {@code si_addr}, host-virtual; 0 where the host does not know it
   * @param lsb {@code si_addr_lsb}
   * @param known whether the ledger knows the page at a guest-physical address
   */
  static MemoryErrorDecision onBusError(
      int vcpu, int code, long address, int lsb, GuestMemory memory, LongPredicate known) {
    OptionalLong page = memory.pageAtHostAddress(address);
    OptionalLong gpa =
        page.isPresent()
            ? OptionalLong.of(memory.layout().addressOf(page.getAsLong()))
            : OptionalLong.empty();
    boolean located = gpa.isPresent() || address == 0;
    int extent = Math.max(PAGE_LSB, lsb);
    return switch (code) {
      case Linux.BUS_MCEERR_AR ->
          located
              ? report(
                  new MemoryError(
                      gpa,
                      Severity.ACTION_REQUIRED,
                      extent,
                      MemoryError.Input.SIGBUS_ACTION_REQUIRED,
                      vcpu))
              : fail(outside("hardware memory error", address));
      case Linux.BUS_MCEERR_AO ->
          located
              ? report(
                  new MemoryError(
                      gpa,
                      Severity.ACTION_OPTIONAL,
                      extent,
                      MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
                      vcpu))
              : ignore(outside("memory error", address));
      case Linux.BUS_ADRERR ->
          gpa.isPresent() && known.test(gpa.getAsLong())
              ? report(
                  new MemoryError(
                      gpa,
                      Severity.ACTION_REQUIRED,
                      extent,
                      MemoryError.Input.SIGBUS_ADDRESS_ERROR,
                      vcpu))
              : fail(
                  "SIGBUS with si_code BUS_ADRERR at host address 0x%x, where the ledger knows no"
                          .formatted(address)
                      + " loss: guest memory is not backed there");
      default -> unknownCode(code, address);
    };
  }

  private static MemoryErrorDecision unknownCode(int code, long address) {
    String text = "SIGBUS with si_code %d at host address 0x%x".formatted(code, address);
    // The kernel's own codes are positive; others come from kill(2) and its relatives.
    return code > 0 ? fail(text + ", which x86-64 KVM does not send") : ignore(text);
  }

  private static String outside(String what, long address) {
    return "%s at host address 0x%x, outside guest memory".formatted(what, address);
  }

  /** Decides on a KVM_EXIT_MMIO: an access to RAM which only KVM's emulator could not make. */
  static MemoryErrorDecision onMmio(int vcpu, long guestPhysicalAddress, GuestMemory memory) {
    if (memory.layout().pageAt(guestPhysicalAddress).isEmpty()) {
      return ignore("no RAM at GPA 0x%x".formatted(guestPhysicalAddress));
    }
    return report(
        new MemoryError(
            OptionalLong.of(Pages.align(guestPhysicalAddress)),
            Severity.ACTION_REQUIRED,
            PAGE_LSB,
            MemoryError.Input.MMIO_IN_RAM,
            vcpu));
  }

  private static MemoryErrorDecision report(MemoryError error) {
    return new MemoryErrorDecision(Kind.REPORT, Optional.of(error), "");
  }

  private static MemoryErrorDecision ignore(String reason) {
    return new MemoryErrorDecision(Kind.IGNORE, Optional.empty(), reason);
  }

  private static MemoryErrorDecision fail(String reason) {
    return new MemoryErrorDecision(Kind.FAIL, Optional.empty(), reason);
  }
}
