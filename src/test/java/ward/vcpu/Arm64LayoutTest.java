package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Field;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import ward.kernel.Ioctl;
import ward.kernel.NativeKernel;

/** The Java copies of arm64's {@code <linux/kvm.h>} against what the C compiler makes of it. */
@OnArm64
class Arm64LayoutTest {

  @ParameterizedTest
  @MethodSource({"sizesAndOffsets", "numbers", "controller"})
  void everyNumberIsTheCompilers(String name, long number) {
    assertThat(number).isEqualTo(NativeKernel.constant(name));
  }

  static Stream<Arguments> sizesAndOffsets() {
    return Stream.of(
        Arguments.of("sizeof kvm_one_reg", KvmOneReg.SIZE_BYTES),
        Arguments.of("kvm_one_reg.id", 0),
        Arguments.of("kvm_one_reg.addr", KvmOneReg.ADDR),
        Arguments.of("sizeof kvm_vcpu_init", Arm64.VCPU_INIT_BYTES),
        Arguments.of("kvm_vcpu_init.features", Arm64.VCPU_INIT_FEATURES),
        Arguments.of("sizeof kvm_reg_list", Long.BYTES),
        Arguments.of("sizeof kvm_create_device", KvmDevice.CREATE_BYTES),
        Arguments.of("kvm_create_device.type", 0),
        Arguments.of("kvm_create_device.fd", KvmDevice.CREATE_FD),
        Arguments.of("sizeof kvm_device_attr", KvmDevice.ATTR_BYTES),
        Arguments.of("kvm_device_attr.group", KvmDevice.ATTR_GROUP),
        Arguments.of("kvm_device_attr.attr", KvmDevice.ATTR_ATTR),
        Arguments.of("kvm_device_attr.addr", KvmDevice.ATTR_ADDR),
        Arguments.of("sizeof kvm_mp_state", Integer.BYTES),
        Arguments.of("sizeof kvm_vcpu_events", Arm64State.EVENTS_BYTES),
        Arguments.of("kvm_vcpu_events.exception.serror_pending", Arm64State.SERROR_PENDING),
        Arguments.of("kvm_vcpu_events.exception.serror_has_esr", Arm64State.SERROR_HAS_ESR),
        Arguments.of("kvm_vcpu_events.exception.ext_dabt_pending", Arm64State.EXT_DABT_PENDING),
        Arguments.of("kvm_vcpu_events.exception.serror_esr", Arm64State.SERROR_ESR),
        Arguments.of("sizeof kvm_enable_cap", KvmVm.ENABLE_CAP_BYTES),
        Arguments.of("kvm_run.mmio.data", KvmRun.MMIO_DATA),
        Arguments.of("kvm_run.arm_sea.gpa", KvmRun.ARM_SEA_GPA));
  }

  static Stream<Arguments> numbers() {
    return Stream.of(
        Arguments.of("KVM_CAP_VCPU_EVENTS", Arm64.CAP_VCPU_EVENTS),
        Arguments.of("KVM_CAP_ONE_REG", Arm64.CAP_ONE_REG),
        Arguments.of("KVM_CAP_ARM_PSCI_0_2", Arm64.CAP_ARM_PSCI_0_2),
        Arguments.of("KVM_CAP_ARM_INJECT_SERROR_ESR", Arm64.CAP_ARM_INJECT_SERROR_ESR),
        Arguments.of("KVM_CAP_ARM_NISV_TO_USER", Arm64.CAP_ARM_NISV_TO_USER),
        Arguments.of("KVM_CAP_ARM_INJECT_EXT_DABT", Arm64.CAP_ARM_INJECT_EXT_DABT),
        Arguments.of("KVM_CAP_ARM_SEA_TO_USER", Arm64.CAP_ARM_SEA_TO_USER),
        Arguments.of("KVM_ARM_VCPU_PSCI_0_2", Arm64.FEATURE_PSCI_0_2),
        Arguments.of("KVM_ARM_IRQ_TYPE_SPI", 1),
        Arguments.of(
            "KVM_ARM_IRQ_TYPE_SHIFT", Integer.numberOfTrailingZeros(Arm64.SHARED_INTERRUPT)),
        Arguments.of("register x0", Arm64Registers.x(0)),
        Arguments.of("register x30", Arm64Registers.x(30)),
        Arguments.of("register sp", Arm64Registers.SP),
        Arguments.of("register pc", Arm64Registers.PC),
        Arguments.of("register pstate", Arm64Registers.PSTATE),
        Arguments.of("register sp_el1", Arm64Registers.SP_EL1),
        Arguments.of("register elr_el1", Arm64Registers.ELR_EL1),
        Arguments.of("register spsr_el1", Arm64Registers.SPSR_EL1),
        Arguments.of("register sctlr_el1", Arm64Registers.SCTLR_EL1),
        Arguments.of("register tcr_el1", Arm64Registers.TCR_EL1),
        Arguments.of("register ttbr0_el1", Arm64Registers.TTBR0_EL1),
        Arguments.of("register ttbr1_el1", Arm64Registers.TTBR1_EL1),
        Arguments.of("register esr_el1", Arm64Registers.ESR_EL1),
        Arguments.of("register far_el1", Arm64Registers.FAR_EL1),
        Arguments.of("register vbar_el1", Arm64Registers.VBAR_EL1),
        Arguments.of("register id_aa64mmfr1_el1", Arm64Registers.ID_AA64MMFR1_EL1));
  }

  static Stream<Arguments> controller() {
    return Stream.of(
        Arguments.of("KVM_DEV_TYPE_ARM_VGIC_V3", Arm64Machine.DEVICE_VGIC_V3),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_ADDR", Arm64Machine.GROUP_ADDRESS),
        Arguments.of("KVM_VGIC_V3_ADDR_TYPE_DIST", Arm64Machine.ADDRESS_DISTRIBUTOR),
        Arguments.of("KVM_VGIC_V3_ADDR_TYPE_REDIST", Arm64Machine.ADDRESS_REDISTRIBUTORS),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_NR_IRQS", Arm64Machine.GROUP_INTERRUPTS),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_CTRL", Arm64Machine.GROUP_CONTROL),
        Arguments.of("KVM_DEV_ARM_VGIC_CTRL_INIT", Arm64Machine.CONTROL_INIT),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_DIST_REGS", Arm64InterruptState.GROUP_DISTRIBUTOR),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_REDIST_REGS", Arm64InterruptState.GROUP_REDISTRIBUTOR),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS", Arm64InterruptState.GROUP_CPU),
        Arguments.of("KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO", Arm64InterruptState.GROUP_LEVELS),
        Arguments.of("KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT", Arm64InterruptState.AFFINITY_SHIFT),
        Arguments.of("KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT", Arm64InterruptState.LEVELS_SHIFT),
        Arguments.of("VGIC_LEVEL_INFO_LINE_LEVEL", Arm64InterruptState.LEVELS_OF_LINES));
  }

  @ParameterizedTest
  @MethodSource("requests")
  void everyRequestHasTheHeadersNumber(Ioctl request) {
    assertThat(Integer.toUnsignedLong(request.number()))
        .isEqualTo(NativeKernel.constant(request.name()));
  }

  static Stream<Ioctl> requests() {
    return Stream.concat(
        Arrays.stream(Arm64Request.class.getDeclaredFields())
            .filter(field -> Modifier.isStatic(field.getModifiers()))
            .filter(field -> field.getType() == Ioctl.class)
            .map(Arm64LayoutTest::valueOf),
        Stream.of(
            KvmRequest.GET_VCPU_EVENTS,
            KvmRequest.SET_VCPU_EVENTS,
            KvmRequest.GET_MP_STATE,
            KvmRequest.SET_MP_STATE,
            KvmRequest.IRQ_LINE));
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
    assertThat(requests()).contains(Arm64Request.SET_ONE_REG, Arm64Request.CREATE_DEVICE);
  }
}
