package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;

/** A virtual machine around some memory, with one vCPU, which runs on the test's own thread. */
final class BareArm64Machine {

  private final Kernel kernel;
  private final GuestMemory memory;
  private final DeviceBus devices;

  BareArm64Machine(Kernel kernel, GuestMemory memory, ReportListener reports) {
    this.kernel = kernel;
    this.memory = memory;
    this.devices = new DeviceBus(reports);
    devices.attachReports(Arm64.REPORTS);
  }

  /** Something to do with one. */
  interface Use<T> {
    T of(KvmVcpu vcpu, Arm64Processor processor) throws IOException;
  }

  /** Makes one for that, and ends it. */
  <T> T of(VcpuState state, Use<T> use) throws IOException {
    Architecture architecture = Architecture.ofThisHost();
    try (Kvm kvm = Kvm.open(kernel);
        KvmVm vm = kvm.createVm();
        Machine machine = architecture.setUp(kvm, vm)) {
      vm.setMemory(memory);
      try (KvmVcpu vcpu = vm.createVcpu(0)) {
        Processor processor = architecture.setUp(kvm, vm, vcpu, state);
        machine.vcpusMade(1);
        processor.restore(state);
        return use.of(vcpu, (Arm64Processor) processor);
      }
    }
  }

  /** Until the guest tells of something. */
  DeviceBus.Outcome runToAReport(KvmVcpu vcpu) throws IOException {
    assertThat(vcpu.run()).isZero();
    assertThat(vcpu.exit().exitReason()).isEqualTo(KvmRun.EXIT_MMIO);
    return devices.onMmio(0, vcpu.exit());
  }

  DeviceBus.Outcome runToItsEnd(KvmVcpu vcpu) throws IOException {
    DeviceBus.Outcome outcome = DeviceBus.Outcome.RUNS_ON;
    while (outcome == DeviceBus.Outcome.RUNS_ON) {
      outcome = runToAReport(vcpu);
    }
    return outcome;
  }
}
