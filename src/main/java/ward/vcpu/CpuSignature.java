package ward.vcpu;

/**
 * Which processor a guest takes its own for, by CPUID leaves 0 and 1. Its machine checks must be
 * that processor's.
 *
 * @param model with the extended model above the lower four bits
 */
record CpuSignature(CpuVendor vendor, int family, int model) {

  private static final int FAMILY_WITH_EXTENSION = 15;
  private static final int FAMILY_6 = 6;
  private static final int FIRST_BROADCASTING_MODEL = 14;

  /**
   * @param version CPUID leaf 1, EAX, read as Intel SDM volume 2 says under CPUID
   */
  static CpuSignature of(CpuVendor vendor, int version) {
    int family = version >>> 8 & 0xf;
    int extension = family == FAMILY_WITH_EXTENSION ? version >>> 20 & 0xff : 0;
    int model = version >>> 4 & 0xf | version >>> 12 & 0xf0;
    return new CpuSignature(vendor, family + extension, model);
  }

  /**
   * Whether a machine check of one processor interrupts all of them, so that a guest's kernel waits
   * for the others to arrive: Intel SDM volume 3, section 16.10.4.1. AMD's never do.
   */
  boolean broadcastsMachineChecks() {
    return vendor == CpuVendor.INTEL
        && (family > FAMILY_6 || family == FAMILY_6 && model >= FIRST_BROADCASTING_MODEL);
  }
}
