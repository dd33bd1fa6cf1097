package ward.vcpu;

import java.io.IOException;
import java.util.List;
import ward.vcpu.StateFormat.Part;

/** x86-64: local APICs, CPUID, machine checks. */
final class X86 implements Architecture {

  private static final StateFormat VCPU =
      new StateFormat(
          List.of(
              Part.required(KvmRegs.SECTION, KvmRegs.SIZE_BYTES),
              Part.required(KvmSregs.SECTION, KvmSregs.SIZE_BYTES),
              new Part(KvmCpuid.SECTION, KvmCpuid.HEADER_BYTES, KvmCpuid.ENTRY_BYTES, false)));
  private static final StateFormat MACHINE =
      new StateFormat(List.of(Part.optional(SerialPort.SECTION, SerialPort.STATE_BYTES)));

  private static final int CAP_MCE = 31;

  /** A PC's first serial port. */
  private static final int SERIAL_PORT = 0x3f8;

  private static final int SERIAL_INTERRUPT = 4;

  @Override
  public String name() {
    return VcpuStates.X86_64;
  }

  @Override
  public StateFormat vcpuFormat() {
    return VCPU;
  }

  @Override
  public StateFormat machineFormat() {
    return MACHINE;
  }

  @Override
  public void requireAbilities(Kvm kvm) throws IOException {
    kvm.require(CAP_MCE, "KVM_CAP_MCE", MachineChecks.BANKS);
  }

  @Override
  public void setUp(Kvm kvm, KvmVm vm) throws IOException {
    vm.createInterruptControllers();
  }

  @Override
  public SerialPort attachSerialPort(KvmVm vm, DeviceBus devices, Console console) {
    SerialPort port = new SerialPort(vm.interruptLine(SERIAL_INTERRUPT), console);
    devices.attachPorts(SERIAL_PORT, port);
    return port;
  }

  @Override
  public Processor setUp(Kvm kvm, KvmVcpu vcpu) throws IOException {
    KvmCpuid cpuid = kvm.guestCpuid();
    X86Processor processor = new X86Processor(vcpu);
    processor.setCpuid(cpuid);
    processor.setUpMachineChecks(kvm.supportedMachineCheckCapabilities() | MachineChecks.BANKS);
    return processor;
  }
}
