package ward.vcpu;

import java.io.IOException;
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

  /** Whether the processor itself walks the guest's page tables; KVM does where it cannot. */
  static boolean isNested() throws IOException {
    for (String setting : new String[] {"kvm_intel/parameters/ept", "kvm_amd/parameters/npt"}) {
      Path file = Path.of("/sys/module").resolve(setting);
      if (Files.exists(file) && Files.readString(file).strip().matches("[Y1]")) {
        return true;
      }
    }
    return false;
  }

  /** What a loss looks like that the guest meets in this ring. */
  static MemoryError.Input lossIn(int ring) {
    return ring == 0 && emulatesRing0()
        ? MemoryError.Input.MMIO_IN_RAM
        : MemoryError.Input.SIGBUS_ACTION_REQUIRED;
  }
}
