package ward.vcpu;

/** Whose machine checks a guest understands. */
public enum CpuVendor {
  INTEL,
  AMD;

  /**
   * @param identification the twelve characters of CPUID leaf 0; whoever is neither AMD nor Hygon
   *     reports machine checks as Intel does
   */
  public static CpuVendor of(String identification) {
    return switch (identification) {
      case "AuthenticAMD", "HygonGenuine" -> AMD;
      default -> INTEL;
    };
  }
}
