package ward.testing;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.Set;
import jnr.posix.POSIXFactory;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;

/** What a test needs of the machine, and why it cannot have it. */
enum Device {
  KERNEL {
    @Override
    void open(NativeKernel kernel) throws KernelCallException {
      kernel.openUserfaultfd(Linux.O_CLOEXEC).close();
    }

    @Override
    boolean isOnThisMachine() {
      return Files.exists(Path.of("/proc/sys/vm/unprivileged_userfaultfd"));
    }
  },
  KVM {
    @Override
    void open(NativeKernel kernel) throws KernelCallException {
      kernel.open("/dev/kvm", Linux.O_RDWR).close();
    }

    @Override
    boolean isOnThisMachine() {
      return Files.exists(Path.of("/dev/kvm"));
    }
  };

  abstract void open(NativeKernel kernel) throws KernelCallException;

  abstract boolean isOnThisMachine();

  /** Why the device cannot be used; empty if it can. */
  Optional<String> refusal() {
    try {
      open(NativeKernel.load());
      return Optional.empty();
    } catch (KernelCallException e) {
      return Optional.of(e.getMessage());
    }
  }

  /**
   * Whether a test that cannot have the device must fail instead of being skipped: the machine has
   * it and we are root, or {@code WARD_EXPECT} (kernel,kvm) says so.
   */
  boolean isExpected() {
    String expected = System.getenv().getOrDefault("WARD_EXPECT", "");
    boolean demanded =
        Set.of(expected.split(",")).contains(name().toLowerCase(java.util.Locale.ROOT));
    return demanded || isOnThisMachine() && POSIXFactory.getPOSIX().geteuid() == 0;
  }
}
