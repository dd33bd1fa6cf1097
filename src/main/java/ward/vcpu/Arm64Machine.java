package ward.vcpu;

import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.vcpu.StateFormat.Part;

/** What an arm64 guest has beside its processors: a GICv3, at the addresses that QEMU gives one. */
final class Arm64Machine implements Machine {

  static final int DEVICE_VGIC_V3 = 7;
  static final int GROUP_ADDRESS = 0;
  static final int ADDRESS_DISTRIBUTOR = 2;
  static final int ADDRESS_REDISTRIBUTORS = 3;
  static final int GROUP_INTERRUPTS = 3;
  static final int GROUP_CONTROL = 4;
  static final int CONTROL_INIT = 0;

  static final long DISTRIBUTOR = 0x0800_0000L;
  static final long REDISTRIBUTORS = 0x080a_0000L;

  /** The 32 of each processor's own, and 96 shared ones. */
  private static final int INTERRUPTS = 128;

  static final StateFormat FORMAT =
      new StateFormat(
          List.of(Part.optional(SerialPort.SECTION, SerialPort.STATE_BYTES), GhesLayout.SECTION));

  private final KvmDevice controller;

  private Arm64Machine(KvmDevice controller) {
    this.controller = controller;
  }

  /**
   * Before the VM has a vCPU.
   *
   * @throws UnsupportedKvmException if this host's interrupt controller is older than a GICv3
   */
  static Arm64Machine make(KvmVm vm) throws KernelCallException, UnsupportedKvmException {
    try {
      return new Arm64Machine(vm.createDevice(DEVICE_VGIC_V3, "kvm-vgic-v3"));
    } catch (KernelCallException e) {
      if (e.is(Errno.ENODEV)) {
        throw new UnsupportedKvmException(
            "this host's KVM emulates no GICv3, which Ward's arm64 guests have: use a host with a"
                + " GICv3");
      }
      throw e;
    }
  }

  @Override
  public void vcpusMade() throws KernelCallException {
    controller.setLong(GROUP_ADDRESS, ADDRESS_DISTRIBUTOR, DISTRIBUTOR);
    controller.setLong(GROUP_ADDRESS, ADDRESS_REDISTRIBUTORS, REDISTRIBUTORS);
    controller.setInt(GROUP_INTERRUPTS, 0, INTERRUPTS);
    controller.command(GROUP_CONTROL, CONTROL_INIT);
  }

  @Override
  public Map<String, byte[]> save() {
    return Map.of();
  }

  @Override
  public void restore(Map<String, byte[]> sections) {}

  @Override
  public void close() {
    controller.close();
  }
}
