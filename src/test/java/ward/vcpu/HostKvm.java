package ward.vcpu;

import java.nio.file.Files;
import java.nio.file.Path;

/** How this host's KVM runs a guest. */
final class HostKvm {

  private HostKvm() {}

  /**
   * Whether it interprets every instruction of ring 0, and so meets lost memory itself, in the
   * guest's place: the flavour for virtual machines that have no virtualization of their own.
   */
  static boolean emulatesRing0() {
    return Files.exists(Path.of("/sys/module/kvm_pvm"));
  }

  /** What a loss looks like that the guest meets in this ring. */
  static MemoryError.Input lossIn(int ring) {
    return ring == 0 && emulatesRing0()
        ? MemoryError.Input.MMIO_IN_RAM
        : MemoryError.Input.SIGBUS_ACTION_REQUIRED;
  }
}
