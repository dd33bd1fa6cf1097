package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import ward.kernel.KernelCallException;
import ward.memory.Pages;
import ward.poison.Severity;

class Arm64ProcessorTest {

  private static final long LOST = 0x4_8000_1000L;

  private final ScriptedArm64Vcpu script = new ScriptedArm64Vcpu();
  private final Arm64Processor processor =
      new Arm64Processor(script.vcpu(), new Arm64State(script.vcpu()));

  private static MemoryError error(
      long page, MemoryError.Input input, GuestAccess.Kind kind, OptionalLong address) {
    return new MemoryError(
        OptionalLong.of(page),
        Severity.ACTION_REQUIRED,
        12,
        input,
        0,
        new GuestAccess(kind, address));
  }

  private static MemoryError signal(long page) {
    return error(
        page,
        MemoryError.Input.SIGBUS_ACTION_REQUIRED,
        GuestAccess.Kind.UNKNOWN,
        OptionalLong.empty());
  }

  @Test
  void aLossUnderADataAccessIsKvmsOwnDataAbort() throws KernelCallException {
    ExternalAbort abort = processor.inject(signal(LOST));

    assertThat(abort)
        .isEqualTo(
            new ExternalAbort(
                0x96000010L,
                OptionalLong.of(ScriptedArm64Vcpu.FAULT_ADDRESS),
                ScriptedArm64Vcpu.VBAR + 0x200));
    assertThat(abort)
        .hasToString(
            "external abort esr 0x96000010 far 0x7f0012345678 at vector 0xffff800008010200");
    assertThat(script.dataAbortPending).isFalse();
  }

  @Test
  void aLossWhereTheGuestStandsIsAnInstructionAbort() throws KernelCallException {
    ExternalAbort abort = processor.inject(signal(Pages.align(ScriptedArm64Vcpu.PC)));

    assertThat(abort)
        .isEqualTo(
            new ExternalAbort(
                0x86000010L,
                OptionalLong.of(ScriptedArm64Vcpu.PC),
                ScriptedArm64Vcpu.VBAR + 0x200));
    assertThat(script.registers)
        .containsEntry(Arm64Registers.PC, ScriptedArm64Vcpu.VBAR + 0x200)
        .containsEntry(Arm64Registers.PSTATE, 0x3c5L)
        .containsEntry(Arm64Registers.ESR_EL1, 0x86000010L)
        .containsEntry(Arm64Registers.FAR_EL1, ScriptedArm64Vcpu.PC)
        .containsEntry(Arm64Registers.ELR_EL1, ScriptedArm64Vcpu.PC)
        .containsEntry(Arm64Registers.SPSR_EL1, ScriptedArm64Vcpu.EL1);
  }

  @Test
  void whatTheHostSaysOfTheAccessIsNotGuessedAgain() throws KernelCallException {
    ExternalAbort load =
        processor.inject(
            error(
                Pages.align(ScriptedArm64Vcpu.PC),
                MemoryError.Input.ARM_SEA,
                GuestAccess.Kind.LOAD,
                OptionalLong.of(ScriptedArm64Vcpu.FAULT_ADDRESS)));

    assertThat(load.esr()).isEqualTo(0x96000010L);
  }

  @Test
  void anAbortWithoutAnAddressLeavesTheGuestsAloneAndSaysSo() throws KernelCallException {
    script.registers.put(Arm64Registers.FAR_EL1, 0x1111L);

    ExternalAbort abort =
        processor.inject(
            error(LOST, MemoryError.Input.ARM_SEA, GuestAccess.Kind.LOAD, OptionalLong.empty()));

    assertThat(abort.esr()).isEqualTo(0x96000410L);
    assertThat(abort.far()).isEmpty();
    assertThat(abort.toString()).contains("far not valid");
    assertThat(script.registers).containsEntry(Arm64Registers.FAR_EL1, 0x1111L);
  }

  @Test
  void aSecondAbortBeforeTheGuestHasLeftItsVectorIsRefused() throws KernelCallException {
    assertThat(processor.obstacle(signal(LOST))).isEmpty();
    processor.inject(signal(LOST));

    assertThat(processor.obstacle(signal(LOST)))
        .hasValue("it had not left the vector of the abort before (0xffff800008010200)");

    script.registers.put(Arm64Registers.PC, ScriptedArm64Vcpu.VBAR + 0x204);
    assertThat(processor.obstacle(signal(LOST))).isEmpty();
  }

  @Test
  void anOptionalErrorHasToWaitForFirmware() throws KernelCallException {
    MemoryError found =
        new MemoryError(
            OptionalLong.of(LOST),
            Severity.ACTION_OPTIONAL,
            12,
            MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
            0);

    assertThat(processor.obstacle(found)).isPresent();
  }

  @Test
  void anAccessThatIsRefusedIsADataAbort() throws KernelCallException {
    processor.refuseAccess();

    assertThat(script.registers).containsEntry(Arm64Registers.ESR_EL1, 0x96000010L);
  }

  @Test
  void aPendingSErrorStaysPendingUnderADataAbort() throws KernelCallException {
    processor.injectSError(2);

    processor.inject(signal(LOST));

    assertThat(script.errorPending).isTrue();
  }

  @Test
  void anSErrorHasItsSyndromeOnlyWhereTheProcessorHasRas() throws KernelCallException {
    processor.injectSError(2);
    assertThat(script.errorSyndrome).isEqualTo(2);

    script.hasRas = false;
    processor.injectSError(2);
    assertThat(script.errorPending).isTrue();
    assertThat(script.errorSyndrome).isZero();
  }
}
