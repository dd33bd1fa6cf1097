package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.kernel.KernelCallException;
import ward.poison.Severity;

class X86ProcessorTest {

  private static final int HASWELL = 0x306f2;
  private static final long ALL =
      MachineChecks.GLOBAL_CONTROL_SUPPORTED | MachineChecks.LOCAL_SUPPORTED;

  private final ScriptedVcpu script = new ScriptedVcpu();
  private final KvmVcpu vcpu = script.vcpu(script.kernel());

  private static MemoryError error(Severity severity) {
    return new MemoryError(
        OptionalLong.of(0x5000), severity, 12, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 0);
  }

  @ParameterizedTest
  @CsvSource({"0, 7, true", "1, f, false"})
  void aMachineCheckStaysWithItsProcessorOnlyIfTheGuestHasEnabledThat(
      long enabled, String mcgStatus, boolean interruptsAll) throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.INTEL, HASWELL, ALL);
    script.registers.put(KvmMsr.MCG_EXT_CTL, enabled);

    Injection injection = processor.inject(error(Severity.ACTION_REQUIRED));

    long expected = Long.parseLong(mcgStatus, 16);
    assertThat(injection)
        .isEqualTo(new MachineCheck(9, 0xbd80000000000134L, 0x5000, 0x8c, expected));
    assertThat(processor.interruptsAll()).isEqualTo(interruptsAll);
  }

  @Test
  void firmwareAllowsLocalMachineChecksWhereTheProcessorHasThem() throws KernelCallException {
    script.processor(vcpu, CpuVendor.INTEL, HASWELL, ALL);

    assertThat(script.registers).containsEntry(KvmMsr.FEATURE_CONTROL, 0x100001L);
  }

  /** KVM answers no MCG_EXT_CTL there; it is not asked for one. */
  @Test
  void withoutTheCapabilityEveryIntelMachineCheckInterruptsAll() throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.INTEL);

    assertThat(processor.interruptsAll()).isTrue();
    assertThat(script.registers).doesNotContainKey(KvmMsr.FEATURE_CONTROL);
  }

  @ParameterizedTest
  @CsvSource({"AMD, 800f12", "INTEL, 6d8"})
  void whereTheModelDoesNotBroadcastNobodyElseIsInterrupted(CpuVendor vendor, String version)
      throws KernelCallException {
    X86Processor processor = script.processor(vcpu, vendor, Integer.parseInt(version, 16), 0);

    assertThat(processor.interruptsAll()).isFalse();
  }

  @Test
  void anAmdErrorThatIsOptionalWaitsUntilTheGuestHasReadTheOneBefore() throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.AMD);
    MemoryError first = error(Severity.ACTION_OPTIONAL);
    assertThat(processor.obstacle(first)).isEmpty();
    processor.inject(first);

    assertThat(processor.obstacle(error(Severity.ACTION_OPTIONAL)))
        .hasValue("the error before it was still in its bank (VAL set)");
    assertThat(processor.unread()).hasValue(first);
    assertThat(processor.obstacle(error(Severity.ACTION_REQUIRED))).isEmpty();

    script.finishMachineCheck();
    assertThat(processor.obstacle(error(Severity.ACTION_OPTIONAL))).isEmpty();
    assertThat(processor.unread()).isEmpty();
  }

  @Test
  void anErrorThatTheGuestHasNotReadIsTakenOutOfItsBankSoThatNothingOverflows()
      throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.AMD);
    MemoryError first = error(Severity.ACTION_OPTIONAL);
    processor.inject(first);

    assertThat(processor.withdrawUnread()).hasValue(first);

    assertThat(script.registers).containsEntry(KvmMsr.bankStatus(MachineChecks.BANK), 0L);
    assertThat(processor.unread()).isEmpty();
    assertThat(processor.withdrawUnread()).isEmpty();
  }

  @Test
  void anErrorThatInterruptsIsNeverUnread() throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.AMD);

    processor.inject(error(Severity.ACTION_REQUIRED));

    assertThat(processor.unread()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"INTEL, ACTION_REQUIRED", "INTEL, ACTION_OPTIONAL", "AMD, ACTION_REQUIRED"})
  void anErrorThatInterruptsCannotBeTakenDuringAnotherOneOrWithItsHandlerSwitchedOff(
      CpuVendor vendor, Severity severity) throws KernelCallException {
    X86Processor processor = script.processor(vcpu, vendor);
    assertThat(processor.obstacle(error(severity))).isEmpty();

    script.registers.put(KvmMsr.MCG_STATUS, 4L);
    assertThat(processor.obstacle(error(severity)))
        .hasValue("a machine check was in progress (MCG_STATUS.MCIP set)");
    script.registers.put(KvmMsr.MCG_STATUS, 0L);
    script.cr4 = 0;
    assertThat(processor.obstacle(error(severity)))
        .hasValue("machine checks were disabled (CR4.MCE clear)");
  }

  @Test
  void whatTheGuestHasSwitchedOffIsAnObstacleBecauseKvmWouldDropIt() throws KernelCallException {
    X86Processor processor = script.processor(vcpu, CpuVendor.INTEL);
    script.registers.put(KvmMsr.bankControl(9), 0L);
    assertThat(processor.obstacle(error(Severity.ACTION_REQUIRED)))
        .hasValue("machine checks were switched off (MCG_CTL or MC9_CTL not all ones)");

    script.registers.put(KvmMsr.bankControl(9), -1L);
    script.registers.put(KvmMsr.MCG_CTL, 0x3ffL);
    assertThat(processor.obstacle(error(Severity.ACTION_REQUIRED)))
        .hasValue("machine checks were switched off (MCG_CTL or MC9_CTL not all ones)");
  }
}
