package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class KvmCpuidTest {

  private static final int KVM_FEATURES = 0x40000001;

  private final KvmCpuid cpuid = KvmCpuid.empty();

  @Test
  void theVendorStandsInEbxEdxEcx() {
    cpuid.add(0, 0xd, 0x68747541, 0x444d4163, 0x69746e65);

    assertThat(cpuid.vendor()).isEqualTo("AuthenticAMD");
  }

  @Test
  void aLeafThatIsNotThereIsZero() {
    cpuid.add(1, 1, 2, 3, 4);

    assertThat(cpuid.register(2, KvmCpuid.EAX)).isZero();
    assertThat(cpuid.register(1, KvmCpuid.EDX)).isEqualTo(4);
  }

  @Test
  void theApicIdReplacesTheUpperByteOfLeaf1AndKeepsTheOthers() {
    cpuid.add(1, 0, 0xff020800, 0, 0);

    cpuid.setApicId(5);

    assertThat(cpuid.register(1, KvmCpuid.EBX)).isEqualTo(0x05020800);
  }

  @ParameterizedTest
  @CsvSource({"b, 24", "1f, 24", "8000001e, 12"})
  void theApicIdStandsInEveryTopologyLeaf(String leaf, int register) {
    int function = Integer.parseUnsignedInt(leaf, 16);
    cpuid.add(function, 99, 99, 99, 99);
    cpuid.add(function, 99, 99, 99, 99);

    cpuid.setApicId(5);

    int second = KvmCpuid.HEADER_BYTES + KvmCpuid.ENTRY_BYTES;
    assertThat(cpuid.register(function, register)).isEqualTo(5);
    assertThat(cpuid.memory().getInt(second + register)).isEqualTo(5);
    assertThat(cpuid.register(function, KvmCpuid.EBX)).isEqualTo(99);
  }

  @Test
  void asynchronousPageFaultsAreHiddenAndNothingElse() {
    cpuid.add(KVM_FEATURES, -1, -1, -1, -1);

    cpuid.hideAsyncPageFaults();

    assertThat(cpuid.register(KVM_FEATURES, KvmCpuid.EAX)).isEqualTo(~0x4410);
    assertThat(cpuid.register(KVM_FEATURES, KvmCpuid.EDX)).isEqualTo(-1);
  }

  @Test
  void aGuestIsShownTheHypervisorAndTheTimerThatKvmEmulates() {
    cpuid.add(KvmCpuid.FEATURES_LEAF, 1, 2, 4, 8);

    cpuid.showHypervisor();
    cpuid.showDeadlineTimer();

    assertThat(cpuid.register(KvmCpuid.FEATURES_LEAF, KvmCpuid.ECX)).isEqualTo(0x81000004);
    assertThat(cpuid.register(KvmCpuid.FEATURES_LEAF, KvmCpuid.EDX)).isEqualTo(8);
  }

  @Test
  void machineCheckRecoveryIsTwoBitsOfOneLeaf() {
    cpuid.add(KvmCpuid.ADVANCED_RAS_LEAF, 0, 0, 0, 0x100);

    cpuid.showMachineCheckRecovery();

    assertThat(cpuid.register(KvmCpuid.ADVANCED_RAS_LEAF, KvmCpuid.EBX)).isEqualTo(3);
    assertThat(cpuid.register(KvmCpuid.ADVANCED_RAS_LEAF, KvmCpuid.EDX)).isEqualTo(0x100);
  }

  @Test
  void withoutExtendedStateNothingIsLeftOfItAndTheRestIsAsItWas() {
    cpuid.add(KvmCpuid.FEATURES_LEAF, -1, -1, -1, -1);
    cpuid.add(KvmCpuid.STRUCTURED_FEATURES_LEAF, -1, -1, -1, -1);
    cpuid.add(KvmCpuid.EXTENDED_STATE_LEAF, 7, 832, 832, 0);

    cpuid.hideExtendedState();

    assertThat(cpuid.register(KvmCpuid.FEATURES_LEAF, KvmCpuid.ECX)).isEqualTo(~0x34001000);
    assertThat(cpuid.register(KvmCpuid.FEATURES_LEAF, KvmCpuid.EDX)).isEqualTo(-1);
    assertThat(cpuid.register(KvmCpuid.STRUCTURED_FEATURES_LEAF, KvmCpuid.EBX)).isEqualTo(~0x20);
    for (int register : new int[] {KvmCpuid.EAX, KvmCpuid.EBX, KvmCpuid.ECX, KvmCpuid.EDX}) {
      assertThat(cpuid.register(KvmCpuid.EXTENDED_STATE_LEAF, register)).isZero();
    }
  }
}
