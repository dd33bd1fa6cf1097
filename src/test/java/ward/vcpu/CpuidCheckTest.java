package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class CpuidCheckTest {

  private static final int AUTH = 0x68747541;
  private static final int CAMD = 0x444d4163;
  private static final int ENTI = 0x69746e65;

  private final KvmCpuid guest = amd();
  private final KvmCpuid host = amd();

  private static KvmCpuid amd() {
    KvmCpuid cpuid = KvmCpuid.empty();
    cpuid.add(0, 0x10, AUTH, CAMD, ENTI);
    return cpuid;
  }

  private String objection() {
    return CpuidCheck.objection(guest, host).orElse("none");
  }

  @Test
  void aHostThatOffersAllAndMoreIsGoodEnough() {
    guest.add(1, 0x800f12, 0x01020800, 0b0101, 0b1);
    host.add(1, 0xa20f10, 0x00020800, 0b1101, 0b1);

    assertThat(CpuidCheck.objection(guest, host)).isEmpty();
  }

  @Test
  void aMissingFeatureIsNamedByLeafRegisterAndBit() {
    guest.add(7, 0, 1 << 5 | 1 << 9, 0, 0);
    host.add(7, 0, 1 << 9, 0, 0);

    assertThat(objection())
        .isEqualTo(
            "the guest has seen CPUID leaf 0x7 subleaf 0 EBX bit 5, which this host's KVM does not"
                + " offer (seen 0x220, offered 0x200); the guest cannot run here without noticing:"
                + " use a host with a processor and a kernel like the source's");
  }

  @Test
  void aLeafThatIsMissingAltogetherIsAMissingFeature() {
    guest.add(0x80000007, 0, 0b11, 0, 0);

    assertThat(objection())
        .startsWith("the guest has seen CPUID leaf 0x80000007 subleaf 0 EBX bit 0");
  }

  @Test
  void anotherVendorsProcessorIsRefusedWhateverItCan() {
    KvmCpuid intel = KvmCpuid.empty();
    intel.add(0, 0x16, 0x756e6547, 0x6c65746e, 0x49656e69);

    assertThat(CpuidCheck.objection(guest, intel).orElseThrow())
        .startsWith(
            "the guest has seen a processor by \"AuthenticAMD\" (CPUID leaf 0), this host's is by"
                + " \"GenuineIntel\"");
  }

  @Test
  void widerPhysicalAddressesThanTheHostsAreRefused() {
    guest.add(0x80000008, 0x3030, 0, 0, 0);
    host.add(0x80000008, 0x302e, 0, 0, 0);

    assertThat(objection()).startsWith("the guest has seen physical addresses of 48 bits");
  }

  @Test
  void everyRealHostCanRunWhatItOffers() {
    assertThat(CpuidCheck.objection(host, host)).isEmpty();
  }
}
