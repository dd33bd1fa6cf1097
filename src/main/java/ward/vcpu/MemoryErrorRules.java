package ward.vcpu;

import static ward.vcpu.MemoryErrorDecision.fail;
import static ward.vcpu.MemoryErrorDecision.ignore;
import static ward.vcpu.MemoryErrorDecision.refuse;
import static ward.vcpu.MemoryErrorDecision.report;

import java.util.List;
import java.util.OptionalInt;
import java.util.OptionalLong;
import jnr.constants.platform.Errno;
import ward.guest.GuestMemory;
import ward.kernel.Linux;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.MemoryError.Input;

/**
 * Decides what a host's word means for one vCPU's guest. Pure: it looks at the event, at where the
 * guest's memory is and at what is known to be lost, and at nothing else.
 *
 * <ul>
 *   <li>The address decides first: {@code si_code} depends on how the host's kernel was built.
 *   <li>An address is never guessed: where the host has none, the guest is told that there is none.
 *   <li>What does not name a loss ({@code BUS_ADRERR}, {@code EFAULT}) is one only where the ledger
 *       knows it; anything else would call healthy memory lost, for good.
 * </ul>
 */
final class MemoryErrorRules {

  private final int vcpu;
  private final GuestMemory memory;
  private final KnownLosses known;

  MemoryErrorRules(int vcpu, GuestMemory memory, KnownLosses known) {
    this.vcpu = vcpu;
    this.memory = memory;
    this.known = known;
  }

  MemoryErrorDecision decide(MemoryEvent event) {
    if (event instanceof MemoryEvent.BusError error) {
      return onBusError(error);
    }
    if (event instanceof MemoryEvent.Mmio mmio) {
      return onMmio(mmio);
    }
    if (event instanceof MemoryEvent.RunFault fault) {
      return onRunFault(fault);
    }
    if (event instanceof MemoryEvent.EmulationFailure failure) {
      return onEmulationFailure(failure);
    }
    if (event instanceof MemoryEvent.ArmSea abort) {
      return onSea(abort);
    }
    return onNisv((MemoryEvent.ArmNisv) event);
  }

  private MemoryErrorDecision onBusError(MemoryEvent.BusError event) {
    return switch (event.code()) {
      case Linux.BUS_MCEERR_AR -> onLoss(event, Input.SIGBUS_ACTION_REQUIRED);
      case Linux.BUS_OBJERR -> onLoss(event, Input.SIGBUS_OBJECT_ERROR);
      case Linux.BUS_MCEERR_AO -> onFoundLoss(event);
      case Linux.BUS_ADRERR -> onUnnamedLoss(event);
      default -> onUnknownCode(event);
    };
  }

  private MemoryErrorDecision onLoss(MemoryEvent.BusError event, Input input) {
    OptionalLong page = pageOf(event);
    return page.isPresent() || event.hostAddress() == 0
        ? required(page, event.lsb(), input, GuestAccess.UNKNOWN)
        : fail(outside("hardware memory error", event.hostAddress()));
  }

  /** A loss of this process's own memory concerns the guest only once something consumes it. */
  private MemoryErrorDecision onFoundLoss(MemoryEvent.BusError event) {
    OptionalLong page = pageOf(event);
    if (page.isEmpty() && event.hostAddress() != 0) {
      return ignore(outside("memory error", event.hostAddress()));
    }
    return report(
        new MemoryError(
            page,
            Severity.ACTION_OPTIONAL,
            extent(page, event.lsb()),
            Input.SIGBUS_ACTION_OPTIONAL,
            vcpu));
  }

  private MemoryErrorDecision onUnnamedLoss(MemoryEvent.BusError event) {
    OptionalLong page = pageOf(event);
    return isKnown(page)
        ? required(page, event.lsb(), Input.SIGBUS_ADDRESS_ERROR, GuestAccess.UNKNOWN)
        : fail(
            "SIGBUS with si_code BUS_ADRERR at host address 0x%x, where the ledger knows no loss:"
                    .formatted(event.hostAddress())
                + " guest memory is not backed there");
  }

  private MemoryErrorDecision onUnknownCode(MemoryEvent.BusError event) {
    String text =
        "SIGBUS with si_code %d at host address 0x%x".formatted(event.code(), event.hostAddress());
    // The kernel's own codes are positive; others come from kill(2) and its relatives.
    return event.code() > 0 ? fail(text + ", which KVM does not send") : ignore(text);
  }

  private static String outside(String what, long address) {
    return "%s at host address 0x%x, outside guest memory".formatted(what, address);
  }

  private MemoryErrorDecision onMmio(MemoryEvent.Mmio event) {
    OptionalLong page = pageAt(event.guestPhysicalAddress());
    return page.isPresent()
        ? required(page, 0, Input.MMIO_IN_RAM, GuestAccess.data(event.isWrite()))
        : ignore("no RAM at GPA 0x%x".formatted(event.guestPhysicalAddress()));
  }

  private MemoryErrorDecision onRunFault(MemoryEvent.RunFault event) {
    return event.fault().isPresent()
        ? onMemoryFault(event.errno(), event.fault().get())
        : onSilentFault(event);
  }

  private MemoryErrorDecision onMemoryFault(Errno errno, MemoryEvent.MemoryFault fault) {
    OptionalLong page = pageAt(fault.guestPhysicalAddress());
    if (isKnown(page) || page.isPresent() && errno == Errno.EHWPOISON) {
      return required(page, lsbOf(fault), Input.MEMORY_FAULT_EXIT, GuestAccess.UNKNOWN);
    }
    return fail(
        "KVM_EXIT_MEMORY_FAULT with %s at GPA 0x%x (%s), %s"
            .formatted(
                errno.name(),
                fault.guestPhysicalAddress(),
                fault.isPrivate() ? "private" : "shared",
                page.isPresent()
                    ? "where the ledger knows no loss: guest memory is not backed there"
                    : "outside guest memory"));
  }

  /** The faulted extent counts where it can be a lost one: a power of two, aligned. */
  private static int lsbOf(MemoryEvent.MemoryFault fault) {
    long size = fault.sizeBytes();
    boolean isExtent =
        Long.bitCount(size) == 1
            && (fault.guestPhysicalAddress() & size - 1) == 0
            && Long.numberOfTrailingZeros(size) <= PoisonEntry.MAX_PAGE_SHIFT;
    return isExtent ? Long.numberOfTrailingZeros(size) : 0;
  }

  private MemoryErrorDecision onSilentFault(MemoryEvent.RunFault event) {
    List<OptionalLong> lost = lostAmong(event.reach());
    if (!lost.isEmpty() || event.errno() == Errno.EHWPOISON) {
      return required(theOneOf(lost), 0, Input.RUN_FAILED, GuestAccess.UNKNOWN);
    }
    return fail(
        ("KVM_RUN failed with %s and says not where, and nothing that is known to be lost is in the"
                + " instruction's reach: guest memory is not backed")
            .formatted(event.errno().name()));
  }

  private List<OptionalLong> lostAmong(List<Long> reach) {
    return reach.stream().map(this::pageAt).filter(this::isKnown).distinct().toList();
  }

  /** One known loss in reach is the one; of several nobody can tell which was met. */
  private static OptionalLong theOneOf(List<OptionalLong> lost) {
    return lost.size() == 1 ? lost.get(0) : OptionalLong.empty();
  }

  private MemoryErrorDecision onEmulationFailure(MemoryEvent.EmulationFailure event) {
    List<OptionalLong> lost = lostAmong(event.reach());
    return lost.isEmpty()
        ? fail("KVM_EXIT_INTERNAL_ERROR, suberror 1: KVM cannot emulate an instruction")
        : required(theOneOf(lost), 0, Input.EMULATION_FAILED, GuestAccess.UNKNOWN);
  }

  private MemoryErrorDecision onSea(MemoryEvent.ArmSea event) {
    ArmSyndrome syndrome = new ArmSyndrome(event.esr());
    if (!syndrome.isExternalAbort()) {
      return fail("KVM_EXIT_ARM_SEA with esr 0x%x: no external abort".formatted(event.esr()));
    }
    if (syndrome.isUncontainable()) {
      return fail(
          "KVM_EXIT_ARM_SEA with esr 0x%x: uncontainable, wrong data may already have spread"
              .formatted(event.esr()));
    }
    boolean located =
        (event.flags() & MemoryEvent.ArmSea.PHYSICAL_ADDRESS_VALID) != 0 && !syndrome.isTableWalk();
    OptionalLong page = located ? pageAt(event.guestPhysicalAddress()) : OptionalLong.empty();
    return page.isPresent() || !located
        ? required(page, 0, Input.ARM_SEA, syndrome.access(event.guestVirtualAddress()))
        : fail(
            "KVM_EXIT_ARM_SEA at GPA 0x%x, outside guest memory"
                .formatted(event.guestPhysicalAddress()));
  }

  /** KVM asks so only where it has no memory: a device, or a hole that was made in RAM. */
  private MemoryErrorDecision onNisv(MemoryEvent.ArmNisv event) {
    OptionalLong page = pageAt(event.guestPhysicalAddress());
    if (isKnown(page)) {
      GuestAccess access = GuestAccess.data(ArmSyndrome.isWrite(event.syndrome()));
      return required(page, 0, Input.ARM_NISV, access);
    }
    String text =
        "KVM_EXIT_ARM_NISV with syndrome 0x%x at GPA 0x%x"
            .formatted(event.syndrome(), event.guestPhysicalAddress());
    return page.isPresent()
        ? fail(text + ", where the ledger knows no loss: guest memory is not mapped there")
        : refuse(text + ", where nothing is attached");
  }

  private OptionalLong pageOf(MemoryEvent.BusError event) {
    OptionalLong page = memory.pageAtHostAddress(event.hostAddress());
    return page.isPresent()
        ? OptionalLong.of(memory.layout().addressOf(page.getAsLong()))
        : OptionalLong.empty();
  }

  /** The address of the page of RAM at a guest-physical address. */
  private OptionalLong pageAt(long guestPhysicalAddress) {
    return memory.layout().pageAt(guestPhysicalAddress).isPresent()
        ? OptionalLong.of(Pages.align(guestPhysicalAddress))
        : OptionalLong.empty();
  }

  private boolean isKnown(OptionalLong page) {
    return knownExtent(page).isPresent();
  }

  private OptionalInt knownExtent(OptionalLong page) {
    return page.isPresent() ? known.extentAt(page.getAsLong()) : OptionalInt.empty();
  }

  /** KVM says 12 of a lost huge page too, so the ledger's word counts where it knows more. */
  private int extent(OptionalLong page, int lsb) {
    return Math.max(Math.max(Pages.SHIFT, lsb), knownExtent(page).orElse(0));
  }

  private MemoryErrorDecision required(
      OptionalLong page, int lsb, Input input, GuestAccess access) {
    return report(
        new MemoryError(page, Severity.ACTION_REQUIRED, extent(page, lsb), input, vcpu, access));
  }
}
