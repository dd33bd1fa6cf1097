package ward.vcpu;

import java.io.IOException;
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
          List.of(
              new Part(Arm64InterruptState.SECTION, 0, Arm64InterruptState.ENTRY_BYTES, false),
              GhesLayout.PART,
              Part.optional(SerialPort.SECTION, SerialPort.STATE_BYTES)));

  private final KvmDevice controller;
  private Arm64InterruptState state; // null before the vCPUs are there

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
  public void vcpusMade(int count) throws KernelCallException {
    controller.setLong(GROUP_ADDRESS, ADDRESS_DISTRIBUTOR, DISTRIBUTOR);
    controller.setLong(GROUP_ADDRESS, ADDRESS_REDISTRIBUTORS, REDISTRIBUTORS);
    controller.setInt(GROUP_INTERRUPTS, 0, INTERRUPTS);
    controller.command(GROUP_CONTROL, CONTROL_INIT);
    state = new Arm64InterruptState(controller, INTERRUPTS, count);
  }

  @Override
  public Map<String, byte[]> save() throws KernelCallException {
    return Map.of(Arm64InterruptState.SECTION, state.save());
  }

  @Override
  public void restore(Map<String, byte[]> sections) throws IOException {
    byte[] section = sections.get(Arm64InterruptState.SECTION);
    if (section != null) {
      state.restore(section);
    }
  }

  @Override
  public void close() {
    controller.close();
  }
}
