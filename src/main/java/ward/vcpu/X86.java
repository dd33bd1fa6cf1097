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
              Part.required(KvmSregs.SECTION, KvmSregs.SIZE_BYTES)));
  private static final StateFormat MACHINE = new StateFormat(List.of());

  private static final int CAP_MCE = 31;

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
  public Machine setUp(Kvm kvm, KvmVm vm) throws IOException {
    vm.createInterruptControllers();
    return new X86Machine();
  }

  @Override
  public Processor setUp(Kvm kvm, KvmVcpu vcpu, VcpuState state) throws IOException {
    KvmCpuid cpuid = kvm.supportedCpuid();
    cpuid.setApicId(vcpu.index());
    cpuid.hideAsyncPageFaults();
    X86Processor processor = new X86Processor(vcpu, CpuVendor.of(cpuid.vendor()));
    processor.setCpuid(cpuid);
    processor.setUpMachineChecks(kvm.supportedMachineCheckCapabilities() | MachineChecks.BANKS);
    return processor;
  }
}
