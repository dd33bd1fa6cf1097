package ward.cli;

import java.util.Arrays;
import java.util.stream.Collectors;

/** Bits of IA32_MCG_CAP, Intel SDM volume 3, "Machine-Check Architecture". */
enum McgCapability {
  CTL_P(8),
  EXT_P(9),
  CMCI_P(10),
  TES_P(11),
  SER_P(24),
  ELOG_P(26),
  LMCE_P(27);

  private final long bit;

  McgCapability(int position) {
    this.bit = 1L << position;
  }

  /** The number and the bits that have a name: {@code 0x1000100: CTL_P, SER_P}. */
  static String describe(long capabilities) {
    return "0x%x: %s"
        .formatted(
            capabilities,
            Arrays.stream(values())
                .filter(capability -> (capabilities & capability.bit) != 0)
                .map(Enum::name)
                .collect(Collectors.joining(", ")));
  }
}
