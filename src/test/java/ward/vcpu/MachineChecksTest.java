package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.poison.Severity;

/** The vectors are what QEMU's kvm_mce_inject (target/i386/kvm/kvm.c) writes. */
class MachineChecksTest {

  private static final long ADDRESS = 0x12345000;
  private static final long MISC_AND_ADDRESS_VALID = 0x0c00000000000000L;

  private static MemoryError error(Severity severity, OptionalLong address, int lsb) {
    return new MemoryError(address, severity, lsb, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 3);
  }

  @ParameterizedTest
  @CsvSource({
    "INTEL, ACTION_REQUIRED, bd80000000000134, 7",
    "INTEL, ACTION_OPTIONAL, bd000000000000c0, 5",
    "AMD,   ACTION_REQUIRED, bc00080000000000, 7",
    "AMD,   ACTION_OPTIONAL, 9c00180000000000, 5",
  })
  void eachVendorHearsOfALossInItsOwnBits(
      CpuVendor vendor, Severity severity, String status, long mcgStatus) {
    MemoryError error = error(severity, OptionalLong.of(ADDRESS), 12);

    MachineCheck check = MachineChecks.encode(vendor, error);

    assertThat(check)
        .isEqualTo(
            new MachineCheck(9, Long.parseUnsignedLong(status, 16), ADDRESS, 0x8c, mcgStatus));
  }

  @ParameterizedTest
  @ValueSource(ints = {12, 21, 30})
  void miscSaysAPhysicalAddressOfAPageAlsoInALargerExtent(int lsb) {
    MemoryError error = error(Severity.ACTION_REQUIRED, OptionalLong.of(ADDRESS), lsb);

    MachineCheck check = MachineChecks.encode(CpuVendor.INTEL, error);

    assertThat(check.misc()).isEqualTo(0x8c);
    assertThat(check.addr()).isEqualTo(ADDRESS);
  }

  @ParameterizedTest
  @EnumSource(CpuVendor.class)
  void aBroadcastSaysNothingButThatThereIsAnUncorrectedErrorSomewhere(CpuVendor vendor) {
    MemoryError error =
        new MemoryError(
            OptionalLong.empty(), Severity.ACTION_OPTIONAL, 12, MemoryError.Input.BROADCAST, 3);

    MachineCheck check = MachineChecks.encode(vendor, error);

    assertThat(check).isEqualTo(new MachineCheck(1, 0xa000000000000000L, 0, 0, 5));
  }

  @ParameterizedTest
  @CsvSource({"ACTION_REQUIRED, bd80000000000134, f", "ACTION_OPTIONAL, bd000000000000c0, d"})
  void aLocalMachineCheckDiffersInMcgStatusOnly(
      Severity severity, String status, String mcgStatus) {
    MemoryError error = error(severity, OptionalLong.of(ADDRESS), 12);

    MachineCheck check = MachineChecks.local(MachineChecks.encode(CpuVendor.INTEL, error));

    assertThat(check)
        .isEqualTo(
            new MachineCheck(
                9,
                Long.parseUnsignedLong(status, 16),
                ADDRESS,
                0x8c,
                Long.parseLong(mcgStatus, 16)));
  }

  @ParameterizedTest
  @CsvSource({
    "INTEL, ACTION_REQUIRED, true",
    "INTEL, ACTION_OPTIONAL, true",
    "AMD,   ACTION_REQUIRED, true",
    "AMD,   ACTION_OPTIONAL, false",
  })
  void onlyADeferredErrorWaitsInItsBankWithoutInterrupting(
      CpuVendor vendor, Severity severity, boolean interrupts) {
    MachineCheck check =
        MachineChecks.encode(vendor, error(severity, OptionalLong.of(ADDRESS), 12));

    assertThat(MachineChecks.interrupts(check)).isEqualTo(interrupts);
  }

  @ParameterizedTest
  @EnumSource(CpuVendor.class)
  void anUnknownAddressIsNotClaimedToBeValid(CpuVendor vendor) {
    for (Severity severity : Severity.values()) {
      MachineCheck known =
          MachineChecks.encode(vendor, error(severity, OptionalLong.of(ADDRESS), 12));

      MachineCheck unknown =
          MachineChecks.encode(vendor, error(severity, OptionalLong.empty(), 12));

      assertThat(unknown)
          .isEqualTo(
              new MachineCheck(
                  9, known.status() & ~MISC_AND_ADDRESS_VALID, 0, 0, known.mcgStatus()));
    }
  }

  @Test
  void addressZeroIsAKnownAddress() {
    MemoryError error = error(Severity.ACTION_REQUIRED, OptionalLong.of(0), 12);

    MachineCheck check = MachineChecks.encode(CpuVendor.INTEL, error);

    assertThat(check).isEqualTo(new MachineCheck(9, 0xbd80000000000134L, 0, 0x8c, 7));
  }

  @ParameterizedTest
  @CsvSource({
    "GenuineIntel, INTEL",
    "AuthenticAMD, AMD",
    "HygonGenuine, AMD",
    "CentaurHauls, INTEL",
  })
  void theVendorIsReadFromLeaf0(String identification, CpuVendor vendor) {
    assertThat(CpuVendor.of(identification)).isEqualTo(vendor);
  }
}
