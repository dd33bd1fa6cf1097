package ward.cli;

import java.util.List;
import java.util.Optional;

/** What KVM may be able to do, {@code KVM_CAP_*} of {@code <linux/kvm.h>}. */
enum KvmCapability {
  USER_MEMORY(3, Where.ANY),
  /** Memory may come and go under a running guest. */
  SYNC_MMU(16, Where.ANY),
  IMMEDIATE_EXIT(136, Where.ANY),
  /** Answers the number of machine check banks. */
  MCE(31, Where.X86),
  MEMORY_FAULT_INFO(232, "6.8", Where.ANY),
  GUEST_MEMFD(234, "6.8", Where.ANY),
  /** A guest's registers, one by one. */
  ONE_REG(70, Where.ARM64),
  VCPU_EVENTS(41, Where.ARM64),
  /** A guest can switch itself off. */
  ARM_PSCI_0_2(102, Where.ARM64),
  ARM_NISV_TO_USER(177, "5.5", Where.ARM64),
  /** Ward reports a lost page to an arm64 guest by such an abort. */
  ARM_INJECT_EXT_DABT(178, Where.ARM64),
  ARM_SEA_TO_USER(245, "6.19", Where.ARM64);

  private enum Where {
    ANY,
    X86,
    ARM64
  }

  private final int number;
  private final Optional<String> linuxVersion;
  private final Where where;

  /** One that Ward runs no guest without; every kernel that Ward runs on should have it. */
  KvmCapability(int number, Where where) {
    this(number, Optional.empty(), where);
  }

  /** One that Ward uses where it is there. */
  KvmCapability(int number, String linuxVersion, Where where) {
    this(number, Optional.of(linuxVersion), where);
  }

  KvmCapability(int number, Optional<String> linuxVersion, Where where) {
    this.number = number;
    this.linuxVersion = linuxVersion;
    this.where = where;
  }

  int number() {
    return number;
  }

  /** The first Linux that may have it; empty for one that Ward runs no guest without. */
  Optional<String> optionalSince() {
    return linuxVersion;
  }

  /**
   * Those that mean something on an architecture.
   *
   * @param architecture as {@code os.arch} has it
   */
  static List<KvmCapability> on(String architecture) {
    Where other = isArm64(architecture) ? Where.X86 : Where.ARM64;
    return List.of(values()).stream().filter(capability -> capability.where != other).toList();
  }

  static boolean isArm64(String architecture) {
    return architecture.equals("aarch64");
  }
}
