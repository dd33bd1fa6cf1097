package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import ward.kernel.Ioctl;
import ward.kernel.NativeKernel;
import ward.vcpu.KvmSregs.Register;

/** The Java copies of {@code <linux/kvm.h>} against what the C compiler makes of it. */
@EnabledOnOs(value = OS.LINUX, architectures = "amd64")
class KvmLayoutTest {

  @ParameterizedTest
  @MethodSource("sizes")
  void everyStructHasTheCompilersSize(String name, int sizeBytes) {
    assertThat(sizeBytes).isEqualTo((int) NativeKernel.constant(name));
  }

  static Stream<Arguments> sizes() {
    return Stream.of(
        Arguments.of("sizeof kvm_userspace_memory_region", KvmMemoryRegion.SIZE_BYTES),
        Arguments.of("sizeof kvm_regs", KvmRegs.SIZE_BYTES),
        Arguments.of("sizeof kvm_sregs", KvmSregs.SIZE_BYTES),
        Arguments.of("sizeof kvm_segment", KvmSegment.SIZE_BYTES),
        Arguments.of("sizeof kvm_x86_mce", KvmX86Mce.SIZE_BYTES),
        Arguments.of("sizeof kvm_cpuid2", KvmCpuid.HEADER_BYTES),
        Arguments.of("sizeof kvm_cpuid_entry2", KvmCpuid.ENTRY_BYTES),
        Arguments.of("sizeof kvm_msrs", KvmMsr.HEADER_BYTES),
        Arguments.of("sizeof kvm_msr_entry", KvmMsr.ENTRY_BYTES),
        Arguments.of("sizeof kvm_signal_mask", KvmSignalMask.HEADER_BYTES),
        Arguments.of("sizeof kvm_irq_level", KvmIrqLevel.SIZE_BYTES),
        Arguments.of("sizeof kvm_mp_state", Integer.BYTES),
        Arguments.of("sizeof kvm_enable_cap", KvmVm.ENABLE_CAP_BYTES),
        Arguments.of("sizeof kvm_irqchip", X86Machine.IRQCHIP_BYTES),
        Arguments.of("sizeof kvm_pit_config", X86Machine.PIT_CONFIG_BYTES),
        Arguments.of("sizeof kvm_pit_state2", X86Machine.PIT_BYTES),
        Arguments.of("sizeof kvm_clock_data", X86Machine.CLOCK_BYTES),
        Arguments.of("sizeof kvm_lapic_state", X86State.LAPIC_BYTES),
        Arguments.of("sizeof kvm_vcpu_events", X86State.EVENTS_BYTES),
        Arguments.of("sizeof kvm_debugregs", X86State.DEBUGREGS_BYTES),
        Arguments.of("sizeof kvm_xsave", X86State.XSAVE_BYTES_LEAST),
        Arguments.of("sizeof kvm_xcrs", X86State.XCRS_BYTES),
        Arguments.of("sizeof kvm_sregs2", X86State.SREGS2_BYTES),
        Arguments.of("sizeof kvm_msr_list", Integer.BYTES));
  }

  @ParameterizedTest
  @MethodSource("offsets")
  void everyFieldIsAtTheCompilersOffset(String name, int offset) {
    assertThat(offset).isEqualTo((int) NativeKernel.constant(name));
  }

  static Stream<Arguments> offsets() {
    return Stream.of(run(), registers(), segments(), others()).flatMap(fields -> fields);
  }

  private static Stream<Arguments> run() {
    return Stream.of(
        Arguments.of("kvm_run.immediate_exit", KvmRun.IMMEDIATE_EXIT),
        Arguments.of("kvm_run.exit_reason", KvmRun.EXIT_REASON),
        Arguments.of("kvm_run.io.direction", KvmRun.IO_DIRECTION),
        Arguments.of("kvm_run.io.size", KvmRun.IO_SIZE),
        Arguments.of("kvm_run.io.port", KvmRun.IO_PORT),
        Arguments.of("kvm_run.io.count", KvmRun.IO_COUNT),
        Arguments.of("kvm_run.io.data_offset", KvmRun.IO_DATA_OFFSET),
        Arguments.of("kvm_run.mmio.phys_addr", KvmRun.MMIO_PHYS_ADDR),
        Arguments.of("kvm_run.mmio.data", KvmRun.MMIO_DATA),
        Arguments.of("kvm_run.mmio.len", KvmRun.MMIO_LEN),
        Arguments.of("kvm_run.mmio.is_write", KvmRun.MMIO_IS_WRITE),
        Arguments.of("kvm_run.system_event.type", KvmRun.SYSTEM_EVENT_TYPE),
        Arguments.of("kvm_run.arm_nisv.esr_iss", KvmRun.ARM_NISV_SYNDROME),
        Arguments.of("kvm_run.arm_nisv.fault_ipa", KvmRun.ARM_NISV_IPA),
        Arguments.of("kvm_run.memory_fault.flags", KvmRun.MEMORY_FAULT_FLAGS),
        Arguments.of("kvm_run.memory_fault.gpa", KvmRun.MEMORY_FAULT_GPA),
        Arguments.of("kvm_run.memory_fault.size", KvmRun.MEMORY_FAULT_SIZE),
        Arguments.of("kvm_run.arm_sea.flags", KvmRun.ARM_SEA_FLAGS),
        Arguments.of("kvm_run.arm_sea.esr", KvmRun.ARM_SEA_ESR),
        Arguments.of("kvm_run.arm_sea.gva", KvmRun.ARM_SEA_GVA),
        Arguments.of("kvm_run.arm_sea.gpa", KvmRun.ARM_SEA_GPA),
        Arguments.of("kvm_run.internal.suberror", KvmRun.UNION),
        Arguments.of("kvm_run.fail_entry.hardware_entry_failure_reason", KvmRun.UNION));
  }

  private static Stream<Arguments> registers() {
    return Stream.of(
        Arguments.of("kvm_regs.rsi", KvmRegs.RSI),
        Arguments.of("kvm_regs.rdi", KvmRegs.RDI),
        Arguments.of("kvm_regs.rsp", KvmRegs.RSP),
        Arguments.of("kvm_regs.rip", KvmRegs.RIP),
        Arguments.of("kvm_regs.rflags", KvmRegs.RFLAGS),
        Arguments.of("kvm_sregs.gdt", KvmSregs.GDT),
        Arguments.of("kvm_sregs.idt", KvmSregs.IDT),
        Arguments.of("kvm_dtable.base", 0),
        Arguments.of("kvm_dtable.limit", KvmSregs.DTABLE_LIMIT),
        Arguments.of("kvm_sregs.cr0", KvmSregs.CR0),
        Arguments.of("kvm_sregs.cr3", KvmSregs.CR3),
        Arguments.of("kvm_sregs.cr4", KvmSregs.CR4),
        Arguments.of("kvm_sregs.efer", KvmSregs.EFER),
        Arguments.of("kvm_sregs.apic_base", KvmSregs.APIC_BASE));
  }

  private static Stream<Arguments> segments() {
    Stream<Arguments> registers =
        Arrays.stream(Register.values())
            .map(r -> Arguments.of("kvm_sregs." + r.name().toLowerCase(), r.offset()));
    Stream<Arguments> flags =
        Arrays.stream(KvmSegment.Flag.values())
            .map(flag -> Arguments.of("kvm_segment." + flag.name().toLowerCase(), flag.offset));
    Stream<Arguments> fields =
        Stream.of(
            Arguments.of("kvm_segment.base", 0),
            Arguments.of("kvm_segment.limit", KvmSegment.LIMIT),
            Arguments.of("kvm_segment.selector", KvmSegment.SELECTOR),
            Arguments.of("kvm_segment.type", KvmSegment.TYPE),
            Arguments.of("kvm_segment.present", KvmSegment.PRESENT),
            Arguments.of("kvm_segment.dpl", KvmSegment.DPL));
    return Stream.of(registers, flags, fields).flatMap(all -> all);
  }

  private static Stream<Arguments> others() {
    return Stream.of(
        Arguments.of("kvm_userspace_memory_region.slot", KvmMemoryRegion.SLOT),
        Arguments.of(
            "kvm_userspace_memory_region.guest_phys_addr", KvmMemoryRegion.GUEST_PHYS_ADDR),
        Arguments.of("kvm_userspace_memory_region.memory_size", KvmMemoryRegion.MEMORY_SIZE),
        Arguments.of("kvm_userspace_memory_region.userspace_addr", KvmMemoryRegion.USERSPACE_ADDR),
        Arguments.of("kvm_x86_mce.status", KvmX86Mce.STATUS),
        Arguments.of("kvm_x86_mce.addr", KvmX86Mce.ADDR),
        Arguments.of("kvm_x86_mce.misc", KvmX86Mce.MISC),
        Arguments.of("kvm_x86_mce.mcg_status", KvmX86Mce.MCG_STATUS),
        Arguments.of("kvm_x86_mce.bank", KvmX86Mce.BANK),
        Arguments.of("kvm_cpuid2.nent", 0),
        Arguments.of("kvm_cpuid2.entries", KvmCpuid.HEADER_BYTES),
        Arguments.of("kvm_cpuid_entry2.function", KvmCpuid.FUNCTION),
        Arguments.of("kvm_cpuid_entry2.index", KvmCpuid.INDEX),
        Arguments.of("kvm_cpuid_entry2.eax", KvmCpuid.EAX),
        Arguments.of("kvm_cpuid_entry2.ebx", KvmCpuid.EBX),
        Arguments.of("kvm_cpuid_entry2.ecx", KvmCpuid.ECX),
        Arguments.of("kvm_cpuid_entry2.edx", KvmCpuid.EDX),
        Arguments.of("kvm_msrs.nmsrs", 0),
        Arguments.of("kvm_msrs.entries", KvmMsr.HEADER_BYTES),
        Arguments.of("kvm_msr_entry.index", KvmMsr.ENTRY_INDEX),
        Arguments.of("kvm_msr_entry.data", KvmMsr.ENTRY_DATA),
        Arguments.of("kvm_signal_mask.sigset", KvmSignalMask.HEADER_BYTES),
        Arguments.of("kvm_irq_level.irq", KvmIrqLevel.IRQ),
        Arguments.of("kvm_irq_level.level", KvmIrqLevel.LEVEL),
        Arguments.of("kvm_mp_state.mp_state", 0),
        Arguments.of("kvm_enable_cap.args", KvmVm.ENABLE_CAP_ARGUMENT),
        Arguments.of("kvm_irqchip.chip_id", 0),
        Arguments.of("kvm_clock_data.flags", X86Machine.CLOCK_FLAGS));
  }

  @ParameterizedTest
  @MethodSource("exitReasons")
  void everyExitReasonIsTheHeaders(String name, int reason) {
    assertThat(reason).isEqualTo((int) NativeKernel.constant(name));
  }

  static Stream<Arguments> exitReasons() {
    return Stream.of(
        Arguments.of("KVM_EXIT_IO", KvmRun.EXIT_IO),
        Arguments.of("KVM_EXIT_MMIO", KvmRun.EXIT_MMIO),
        Arguments.of("KVM_EXIT_SHUTDOWN", KvmRun.EXIT_SHUTDOWN),
        Arguments.of("KVM_EXIT_FAIL_ENTRY", KvmRun.EXIT_FAIL_ENTRY),
        Arguments.of("KVM_EXIT_INTERNAL_ERROR", KvmRun.EXIT_INTERNAL_ERROR),
        Arguments.of("KVM_EXIT_SYSTEM_EVENT", KvmRun.EXIT_SYSTEM_EVENT),
        Arguments.of("KVM_EXIT_ARM_NISV", KvmRun.EXIT_ARM_NISV),
        Arguments.of("KVM_EXIT_MEMORY_FAULT", KvmRun.EXIT_MEMORY_FAULT),
        Arguments.of("KVM_EXIT_ARM_SEA", KvmRun.EXIT_ARM_SEA),
        Arguments.of("KVM_INTERNAL_ERROR_EMULATION", KvmRun.EMULATION_FAILURE),
        Arguments.of("KVM_SYSTEM_EVENT_SHUTDOWN", KvmRun.SYSTEM_EVENT_SHUTDOWN),
        Arguments.of("KVM_SYSTEM_EVENT_RESET", KvmRun.SYSTEM_EVENT_RESET),
        Arguments.of("KVM_SYSTEM_EVENT_CRASH", KvmRun.SYSTEM_EVENT_CRASH),
        Arguments.of(
            "KVM_EXIT_ARM_SEA_FLAG_GPA_VALID", (int) MemoryEvent.ArmSea.PHYSICAL_ADDRESS_VALID));
  }

  @ParameterizedTest
  @MethodSource("numbers")
  void everyOtherNumberIsTheHeaders(String name, int number) {
    assertThat(number).isEqualTo((int) NativeKernel.constant(name));
  }

  static Stream<Arguments> numbers() {
    return Stream.of(
        Arguments.of("KVM_CAP_XCRS", X86Abilities.CAP_XCRS),
        Arguments.of("KVM_CAP_SREGS2", X86Abilities.CAP_SREGS2),
        Arguments.of("KVM_CAP_XSAVE2", X86Abilities.CAP_XSAVE2),
        Arguments.of("KVM_CAP_EXCEPTION_PAYLOAD", X86.CAP_EXCEPTION_PAYLOAD),
        Arguments.of("KVM_PIT_SPEAKER_DUMMY", X86Machine.SPEAKER_DUMMY),
        Arguments.of("KVM_IRQCHIP_PIC_MASTER", X86Machine.Chip.PIC_MASTER.ordinal()),
        Arguments.of("KVM_IRQCHIP_PIC_SLAVE", X86Machine.Chip.PIC_SLAVE.ordinal()),
        Arguments.of("KVM_IRQCHIP_IOAPIC", X86Machine.Chip.IOAPIC.ordinal()),
        Arguments.of("KVM_MP_STATE_RUNNABLE", X86State.MP_STATE_RUNNABLE));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void everyRequestHasTheHeadersNumber(Ioctl request) {
    assertThat(Integer.toUnsignedLong(request.number()))
        .isEqualTo(NativeKernel.constant(request.name()));
  }

  static Stream<Ioctl> requests() {
    return Arrays.stream(KvmRequest.class.getDeclaredFields())
        .filter(field -> Modifier.isStatic(field.getModifiers()))
        .filter(field -> field.getType() == Ioctl.class)
        .map(KvmLayoutTest::valueOf);
  }

  private static Ioctl valueOf(Field field) {
    try {
      return (Ioctl) field.get(null);
    } catch (IllegalAccessException e) {
      throw new AssertionError(field + " is not visible to its own package's tests", e);
    }
  }

  @Test
  void theListOfRequestsIsNotEmpty() {
    assertThat(requests()).contains(KvmRequest.RUN, KvmRequest.X86_SET_MCE);
  }
}
