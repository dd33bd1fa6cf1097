package ward.vcpu;

import java.io.IOException;
import java.util.Set;
import ward.kernel.Kernel;

/**
 * What a new x86 guest is told of its processors: what CPUID answers in it, for as long as it
 * lives.
 */
public final class X86CpuModel {

  /**
   * The name of the section in a {@link VcpuState}; without it a guest has this host's processor.
   */
  public static final String SECTION = KvmCpuid.SECTION;

  /** What is taken away from what this host's KVM supports. */
  public enum Without {
    /**
     * XSAVE and everything whose registers it saves, for hosts whose CPUID contradicts itself there
     * (QEMU's software emulation does).
     */
    EXTENDED_STATE
  }

  private X86CpuModel() {}

  /**
   * @return the section's content
   */
  public static byte[] likeThisHost(Kernel kernel, Set<Without> without) throws IOException {
    try (Kvm kvm = Kvm.open(kernel)) {
      KvmCpuid cpuid = kvm.guestCpuid();
      cpuid.hideWhatDoesNotTravel();
      if (without.contains(Without.EXTENDED_STATE)) {
        cpuid.hideExtendedState();
      }
      return cpuid.toBytes();
    }
  }
}
