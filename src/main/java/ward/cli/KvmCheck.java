package ward.cli;

import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;
import static ward.cli.HostFinding.warning;
import static ward.cli.HostRole.KVM;

import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.vcpu.MachineChecks;

/**
 * What KVM can do here. Asks for itself rather than through {@link ward.vcpu.Kvm}, which refuses at
 * the first thing that is missing: a person wants to see all of them.
 *
 * @param architecture as {@code os.arch} has it
 */
record KvmCheck(Kernel kernel, String architecture) implements HostCheck {

  private static final String DEVICE = "/dev/kvm";
  private static final int API_VERSION = 12;
  private static final int TYPE = 0xAE;
  private static final Ioctl GET_API_VERSION = Ioctl.plain("KVM_GET_API_VERSION", TYPE, 0x00);
  private static final Ioctl CREATE_VM = Ioctl.plain("KVM_CREATE_VM", TYPE, 0x01);
  private static final Ioctl CHECK_EXTENSION = Ioctl.plain("KVM_CHECK_EXTENSION", TYPE, 0x03);
  private static final Ioctl GET_MCE_CAP =
      Ioctl.read("KVM_X86_GET_MCE_CAP_SUPPORTED", TYPE, 0x9d, Long.BYTES);

  /** {@code struct kvm_create_device}: __u32 type; __u32 fd; __u32 flags. */
  private static final int CREATE_DEVICE_BYTES = 12;

  private static final int CREATE_DEVICE_FLAGS = 8;
  private static final int CREATE_DEVICE_TEST = 1;
  private static final int DEVICE_ARM_VGIC_V3 = 7;
  private static final Ioctl CREATE_DEVICE =
      Ioctl.readWrite("KVM_CREATE_DEVICE", TYPE, 0xe0, CREATE_DEVICE_BYTES);

  @Override
  public List<HostFinding> run() {
    try (Fd kvm = kernel.open(DEVICE, Linux.O_RDWR | Linux.O_CLOEXEC)) {
      return findings(kvm);
    } catch (KernelCallException e) {
      return List.of(missing(DEVICE, e.getMessage(), remedy(e), KVM));
    }
  }

  private static String remedy(KernelCallException e) {
    return e.is(Errno.EACCES) || e.is(Errno.EPERM)
        ? "add this user to the group of /dev/kvm, or run as root"
        : "load kvm_intel or kvm_amd, and switch virtualization on in firmware or in the host of"
            + " this virtual machine";
  }

  private List<HostFinding> findings(Fd kvm) {
    List<HostFinding> findings = new ArrayList<>();
    findings.add(ok(DEVICE, "opens"));
    findings.add(version(kernel.ioctl(kvm, GET_API_VERSION, 0)));
    findings.add(newVm(kvm));
    for (KvmCapability capability : KvmCapability.on(architecture)) {
      findings.add(finding(capability, kernel.ioctl(kvm, CHECK_EXTENSION, capability.number())));
    }
    findings.add(
        KvmCapability.isArm64(architecture) ? interruptController(kvm) : machineChecks(kvm));
    return findings;
  }

  private static HostFinding version(int answer) {
    return answer == API_VERSION
        ? ok("KVM API", "version 12")
        : missing(
            "KVM API",
            "version " + answer,
            "a KVM of version 12, as every Linux since 2.6.22 has",
            KVM);
  }

  private HostFinding newVm(Fd kvm) {
    int answer = kernel.ioctl(kvm, CREATE_VM, 0);
    if (answer < 0) {
      return missing(
          "KVM_CREATE_VM",
          KernelCallException.describe(-answer),
          "EBUSY: another hypervisor uses the CPU; otherwise see the kernel's log",
          KVM);
    }
    kernel.adopt(answer, "kvm-vm").close();
    return ok("KVM_CREATE_VM", "makes a virtual machine");
  }

  private static HostFinding finding(KvmCapability capability, int answer) {
    String name = "KVM_CAP_" + capability;
    if (answer >= least(capability)) {
      return ok(name, capability == KvmCapability.MCE ? answer + " banks" : "yes");
    }
    return capability
        .optionalSince()
        .map(linux -> warning(name, "no", "Linux %s or later; Ward works without".formatted(linux)))
        .orElseGet(
            () ->
                missing(
                    name,
                    answer > 0 ? "only " + answer : "no",
                    "a newer kernel, or another host",
                    KVM));
  }

  private static int least(KvmCapability capability) {
    return capability == KvmCapability.MCE ? MachineChecks.BANKS : 1;
  }

  /** Asks whether KVM could make one, of a machine that is gone again at once. */
  private HostFinding interruptController(Fd kvm) {
    int number = kernel.ioctl(kvm, CREATE_VM, 0);
    int answer = number;
    if (number >= 0) {
      try (Fd vm = kernel.adopt(number, "kvm-vm")) {
        NativeMemory device = NativeMemory.allocate(CREATE_DEVICE_BYTES);
        device.putInt(0, DEVICE_ARM_VGIC_V3);
        device.putInt(CREATE_DEVICE_FLAGS, CREATE_DEVICE_TEST);
        answer = kernel.ioctl(vm, CREATE_DEVICE, device);
      }
    }
    return answer < 0
        ? missing(
            "GICv3",
            KernelCallException.describe(-answer),
            "a host whose interrupt controller is a GICv3",
            KVM)
        : ok("GICv3", "KVM emulates one");
  }

  private HostFinding machineChecks(Fd kvm) {
    NativeMemory capabilities = NativeMemory.allocate(Long.BYTES);
    int answer = kernel.ioctl(kvm, GET_MCE_CAP, capabilities);
    return answer < 0
        ? missing(
            GET_MCE_CAP.name(),
            KernelCallException.describe(-answer),
            "a KVM that can inject machine checks",
            KVM)
        : ok(GET_MCE_CAP.name(), McgCapability.describe(capabilities.getLong(0)));
  }
}
