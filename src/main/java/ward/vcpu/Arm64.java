package ward.vcpu;

import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.NativeMemory;

/** arm64: a GICv3, PSCI, external aborts. */
final class Arm64 implements Architecture {

  private static final Logger LOG = LoggerFactory.getLogger(Arm64.class);

  static final int CAP_VCPU_EVENTS = 41;
  static final int CAP_ONE_REG = 70;
  static final int CAP_ARM_PSCI_0_2 = 102;

  /** There where the host's processors have RAS. */
  static final int CAP_ARM_INJECT_SERROR_ESR = 158;

  static final int CAP_ARM_NISV_TO_USER = 177;
  static final int CAP_ARM_INJECT_EXT_DABT = 178;

  /** Linux 6.19. */
  static final int CAP_ARM_SEA_TO_USER = 245;

  /** {@code struct kvm_vcpu_init}: __u32 target; __u32 features[7]. */
  static final int VCPU_INIT_BYTES = 32;

  static final int VCPU_INIT_FEATURES = 4;

  /** Bit of {@code features}: the guest may switch itself and its vCPUs off by PSCI. */
  static final int FEATURE_PSCI_0_2 = 2;

  /** {@code KVM_ARM_IRQ_TYPE_SPI} in bits 27:24 of the number that KVM_IRQ_LINE takes. */
  static final int SHARED_INTERRUPT = 1 << 24;

  /** Where QEMU's machine "virt" has its serial port, which has other registers. */
  static final long SERIAL_PORT = 0x0900_0000L;

  static final int SERIAL_INTERRUPT = 33;

  /** Of the registers of {@link DeviceBus}. */
  static final long REPORTS = 0x0b00_0000L;

  /** Of the one of {@link MoveCounter}, behind them. */
  static final long MOVES = REPORTS + 0x20;

  @Override
  public String name() {
    return VcpuStates.AARCH64;
  }

  @Override
  public boolean hasSErrors() {
    return true;
  }

  @Override
  public StateFormat vcpuFormat() {
    return Arm64State.FORMAT;
  }

  @Override
  public StateFormat machineFormat() {
    return Arm64Machine.FORMAT;
  }

  @Override
  public void requireAbilities(Kvm kvm) throws IOException {
    kvm.require(CAP_ONE_REG, "KVM_CAP_ONE_REG", 1);
    kvm.require(CAP_VCPU_EVENTS, "KVM_CAP_VCPU_EVENTS", 1);
    kvm.require(CAP_ARM_PSCI_0_2, "KVM_CAP_ARM_PSCI_0_2", 1);
    kvm.require(CAP_ARM_INJECT_EXT_DABT, "KVM_CAP_ARM_INJECT_EXT_DABT", 1);
  }

  @Override
  public Machine setUp(Kvm kvm, KvmVm vm) throws IOException {
    enable(kvm, vm, CAP_ARM_NISV_TO_USER, "KVM_CAP_ARM_NISV_TO_USER", "5.5");
    enable(kvm, vm, CAP_ARM_SEA_TO_USER, "KVM_CAP_ARM_SEA_TO_USER", "6.19");
    if (kvm.checkExtension(CAP_ARM_INJECT_SERROR_ESR) == 0) {
      // HCR_EL2.TEA is without effect there, see host_owns_sea() in arch/arm64/kvm/mmu.c.
      LOG.info(
          "this host's processors have no RAS: of aborts that memory raises KVM tells the guest by an"
              + " SError, and Ward nothing");
    }
    return Arm64Machine.make(vm);
  }

  private static void enable(Kvm kvm, KvmVm vm, int extension, String name, String linux)
      throws IOException {
    if (kvm.checkExtension(extension) > 0) {
      vm.enable(extension, 0);
    } else {
      LOG.info("this KVM has no {} (Linux {}): fewer aborts name their address", name, linux);
    }
  }

  @Override
  public SerialPort attachSerialPort(KvmVm vm, DeviceBus devices, Console console) {
    SerialPort port =
        new SerialPort(vm.interruptLine(SHARED_INTERRUPT | SERIAL_INTERRUPT), console);
    devices.attachMemory(SERIAL_PORT, 0, port);
    return port;
  }

  @Override
  public void attachReports(DeviceBus devices, MoveCounter moves) {
    devices.attachReports(REPORTS);
    devices.attachMemory(MOVES, 0, moves);
  }

  @Override
  public Processor setUp(Kvm kvm, KvmVm vm, KvmVcpu vcpu, VcpuState state) throws IOException {
    NativeMemory init = NativeMemory.allocate(VCPU_INIT_BYTES);
    vm.call(Arm64Request.PREFERRED_TARGET, init);
    init.putInt(VCPU_INIT_FEATURES, 1 << FEATURE_PSCI_0_2);
    vcpu.call(Arm64Request.VCPU_INIT, init);
    return new Arm64Processor(vcpu, new Arm64State(vcpu));
  }
}
