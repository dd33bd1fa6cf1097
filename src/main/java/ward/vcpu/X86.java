package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Optional;

/** x86-64: local APICs, CPUID, machine checks. */
final class X86 implements Architecture {

  private static final int CAP_MCE = 31;

  /** Without it a pending exception is told as one that was taken. */
  static final int CAP_EXCEPTION_PAYLOAD = 164;

  /** A PC's first serial port. */
  private static final int SERIAL_PORT = 0x3f8;

  private static final int SERIAL_INTERRUPT = 4;

  @Override
  public String name() {
    return VcpuStates.X86_64;
  }

  @Override
  public StateFormat vcpuFormat() {
    return X86State.FORMAT;
  }

  @Override
  public StateFormat machineFormat() {
    return X86Machine.FORMAT;
  }

  @Override
  public void requireAbilities(Kvm kvm) throws IOException {
    kvm.require(CAP_MCE, "KVM_CAP_MCE", MachineChecks.BANKS);
  }

  @Override
  public Machine setUp(Kvm kvm, KvmVm vm) throws IOException {
    if (kvm.checkExtension(CAP_EXCEPTION_PAYLOAD) > 0) {
      vm.enable(CAP_EXCEPTION_PAYLOAD, 1);
    }
    return X86Machine.make(vm);
  }

  @Override
  public SerialPort attachSerialPort(KvmVm vm, DeviceBus devices, Console console) {
    SerialPort port = new SerialPort(vm.interruptLine(SERIAL_INTERRUPT), console);
    devices.attachPorts(SERIAL_PORT, port);
    return port;
  }

  @Override
  public Processor setUp(Kvm kvm, KvmVm vm, KvmVcpu vcpu, VcpuState state) throws IOException {
    KvmCpuid cpuid = cpuid(kvm, state);
    cpuid.setApicId(vcpu.index());
    long mcgCap = machineCheckCapabilities(kvm, state);
    X86State registers = new X86State(vcpu, X86Abilities.of(kvm), cpuid, mcgCap);
    X86Processor processor = new X86Processor(vcpu, registers);
    processor.setCpuid(cpuid);
    processor.setUpMachineChecks(mcgCap);
    return processor;
  }

  /** What the guest has seen before, or for one that has seen nothing all that there is. */
  private static KvmCpuid cpuid(Kvm kvm, VcpuState state) throws IOException {
    KvmCpuid offered = kvm.guestCpuid();
    byte[] seen = state.sections().get(KvmCpuid.SECTION);
    if (seen == null) {
      offered.hideWhatDoesNotTravel();
      return offered;
    }
    KvmCpuid guest = KvmCpuid.of(seen);
    // Without the rest of a saved state it is a model that somebody chose for a new guest.
    if (state.sections().containsKey(X86State.MCG_CAP)) {
      requireSameProcessor(state.index(), guest, offered);
    }
    return guest;
  }

  private static void requireSameProcessor(int vcpu, KvmCpuid guest, KvmCpuid offered)
      throws UnsupportedKvmException {
    Optional<String> objection = CpuidCheck.objection(guest, offered);
    if (objection.isPresent()) {
      throw new UnsupportedKvmException("vCPU %d: %s".formatted(vcpu, objection.get()));
    }
  }

  private static long machineCheckCapabilities(Kvm kvm, VcpuState state) throws IOException {
    long supported = kvm.supportedMachineCheckCapabilities() | MachineChecks.BANKS;
    byte[] seen = state.sections().get(X86State.MCG_CAP);
    if (seen == null) {
      return supported;
    }
    long wanted = ByteBuffer.wrap(seen).order(ByteOrder.LITTLE_ENDIAN).getLong();
    if ((wanted & ~supported) != 0) {
      throw new UnsupportedKvmException(
          "the guest has seen IA32_MCG_CAP 0x%x, this host's KVM offers 0x%x: use a host with the same machine checks"
              .formatted(wanted, supported));
    }
    return wanted;
  }
}
