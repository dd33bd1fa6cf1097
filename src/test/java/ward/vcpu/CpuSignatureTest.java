package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CpuSignatureTest {

  /** CPUID leaf 1, EAX, of processors that were sold. */
  @ParameterizedTest(name = "{0} {1}: family {2}, model {3}")
  @CsvSource({
    "INTEL, 6d8,    6,  13,  false",
    "INTEL, 6e8,    6,  14,  true",
    "INTEL, 306f2,  6,  63,  true",
    "INTEL, 806f8,  6,  143, true",
    "INTEL, f43,    15, 4,   true",
    "INTEL, 543,    5,  4,   false",
    "AMD,   800f12, 23, 1,   false",
    "AMD,   a00f11, 25, 1,   false",
  })
  void familyAndModelSayWhetherAMachineCheckInterruptsEveryProcessor(
      CpuVendor vendor, String version, int family, int model, boolean broadcasts) {
    CpuSignature signature = CpuSignature.of(vendor, Integer.parseInt(version, 16));

    assertThat(signature).isEqualTo(new CpuSignature(vendor, family, model));
    assertThat(signature.broadcastsMachineChecks()).isEqualTo(broadcasts);
  }
}
