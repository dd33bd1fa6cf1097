package ward.testbed.acpi;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.vcpu.GhesLayout;
import ward.vcpu.GhesSource;

class AcpiTablesTest {

  private static final long ADDRESS = 0x4000_2000L;
  private static final GhesLayout GHES = GhesMemory.ofArm64(0x4000_1000L).layout();
  private static final GhesLayout NO_GHES = new GhesLayout(List.of());

  private final AcpiTables tables = AcpiTables.ofArm64(Arm64Machine.ofQemu(2), GHES, ADDRESS);
  private final byte[] bytes = tables.toBytes();

  private static byte[] hex(String text) {
    return HexFormat.of().parseHex(text.replaceAll("\\s", ""));
  }

  private long u64(long address) {
    return ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getLong((int) (address - ADDRESS));
  }

  private byte[] tableAt(long address) {
    int start = (int) (address - ADDRESS);
    int length = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN).getInt(start + 4);
    return Arrays.copyOfRange(bytes, start, start + length);
  }

  private static String signature(byte[] table) {
    return new String(table, 0, 4);
  }

  private static int sum(byte[] bytes, int lengthBytes) {
    int sum = 0;
    for (int i = 0; i < lengthBytes; i++) {
      sum += bytes[i];
    }
    return sum & 0xff;
  }

  @Test
  void theRootPointerIsFirstAndItsTwoSumsAreZero() {
    byte[] pointer = Arrays.copyOf(bytes, 36);

    assertThat(new String(pointer, 0, 8)).isEqualTo("RSD PTR ");
    assertThat(pointer[15]).as("revision").isEqualTo((byte) 2);
    assertThat(sum(pointer, 20)).isZero();
    assertThat(sum(pointer, 36)).isZero();
    assertThat(tables.rootPointerAddress()).isEqualTo(ADDRESS);
  }

  /** As an operating system finds them: root pointer, XSDT, FADT, DSDT. */
  @Test
  void everyTableIsFoundFromTheRootPointerWithASumOfZero() {
    byte[] list = tableAt(u64(ADDRESS + 24));
    List<byte[]> found = new ArrayList<>(List.of(list));
    long listAddress = u64(ADDRESS + 24);
    for (int offset = 36; offset < list.length; offset += Long.BYTES) {
      found.add(tableAt(u64(listAddress + offset)));
    }
    long fadtAddress = u64(listAddress + 36);
    found.add(tableAt(u64(fadtAddress + 140)));

    assertThat(found)
        .extracting(AcpiTablesTest::signature)
        .containsExactly("XSDT", "FACP", "APIC", "GTDT", "SPCR", "HEST", "DSDT");
    assertThat(found).allSatisfy(table -> assertThat(sum(table, table.length)).isZero());
  }

  /** Put together by hand from ACPI 6.5, 18.3.2.8 and 18.3.2.9. */
  @Test
  void theErrorSourcesAreGhesVersion2() {
    byte[] table = tables.tables().get("HEST");

    assertThat(Arrays.copyOfRange(table, 36, table.length))
        .containsExactly(
            hex(
                """
                02 00 00 00

                0a 00  00 00  ff ff  00  01  01 00 00 00  03 00 00 00  00 02 00 00
                00 40 00 04  00 10 00 40 00 00 00 00
                08 1c  00 00  00 00 00 00  00 00 00 00
                00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00
                00 02 00 00
                00 40 00 04  10 10 00 40 00 00 00 00
                fe ff ff ff ff ff ff ff  01 00 00 00 00 00 00 00

                0a 00  01 00  ff ff  00  01  01 00 00 00  10 00 00 00  00 0a 00 00
                00 40 00 04  08 10 00 40 00 00 00 00
                00 1c  00 00  64 00 00 00  00 00 00 00
                00 00 00 00  00 00 00 00  00 00 00 00  00 00 00 00
                00 0a 00 00
                00 40 00 04  18 10 00 40 00 00 00 00
                fe ff ff ff ff ff ff ff  01 00 00 00 00 00 00 00
                """));
  }

  @Test
  void aMachineWithoutErrorSourcesHasNoTableOfThem() {
    assertThat(AcpiTables.ofArm64(Arm64Machine.ofQemu(1), NO_GHES, ADDRESS).tables())
        .containsOnlyKeys("DSDT", "FACP", "APIC", "GTDT", "SPCR", "XSDT");
    assertThat(AcpiTables.ofX86(new X86Machine(1), NO_GHES, 0xe_0000L).tables())
        .containsOnlyKeys("DSDT", "FACP", "APIC", "SPCR", "XSDT");
  }

  @Test
  void theErrorSourcesBeginEmptyAndAcknowledged() {
    GhesMemory memory = GhesMemory.ofArm64(0x4000_1000L);
    ByteBuffer page = ByteBuffer.wrap(memory.toBytes()).order(ByteOrder.LITTLE_ENDIAN);

    assertThat(memory.layout().sources())
        .extracting(GhesSource::notification)
        .containsExactly(
            GhesSource.Notification.SYNCHRONOUS_EXTERNAL_ABORT, GhesSource.Notification.POLLED);
    for (GhesSource source : memory.layout().sources()) {
      int block = (int) (source.statusBlock() - 0x4000_1000L);
      assertThat(page.getLong((int) source.statusAddressRegister() & 0xfff))
          .isEqualTo(source.statusBlock());
      assertThat(page.getLong((int) source.readAckRegister() & 0xfff)).isEqualTo(1);
      assertThat(Arrays.copyOfRange(page.array(), block, block + source.statusBlockBytes()))
          .containsOnly(0);
    }
  }

  /** Linux on x86 refuses the notification of aborts. */
  @Test
  void anX86GuestHasAPolledSourceOnly() {
    GhesLayout layout = GhesMemory.ofX86(0x1000).layout();

    assertThat(layout.sources())
        .extracting(GhesSource::notification)
        .containsExactly(GhesSource.Notification.POLLED);
    assertThat(AcpiTables.ofX86(new X86Machine(1), layout, 0xe_0000L).tables())
        .containsOnlyKeys("DSDT", "FACP", "APIC", "SPCR", "HEST", "XSDT");
  }

  @Test
  void aGuestThatIsNotToPollHasTheOtherSourceWhereItWas() {
    GhesLayout layout = GhesMemory.ofArm64(0x4000_1000L).withoutPolled().layout();

    assertThat(layout.sources()).containsExactly(GHES.sources().get(0));
  }

  /** ACPI 6.3, 5.2.9: a generic address of a byte-wide port. Arm64 has PSCI for that. */
  @Test
  void anX86GuestIsSwitchedOffByAPort() {
    byte[] table = AcpiTables.ofX86(new X86Machine(1), NO_GHES, 0xe_0000L).tables().get("FACP");

    assertThat(Arrays.copyOfRange(table, 244, 256))
        .containsExactly(hex("01 08 00 01 02 05 00 00 00 00 00 00"));
    assertThat(Arrays.copyOfRange(tables.tables().get("FACP"), 244, 268)).containsOnly(0);
  }

  @Test
  void tablesThatAreNotAlignedAreRefused() {
    assertThatThrownBy(() -> AcpiTables.ofX86(new X86Machine(1), NO_GHES, 0xe_0008L))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("tables at 0xe0008; a multiple of 16 is allowed");
  }

  @Test
  void moreProcessorsThanRedistributorsAreRefused() {
    assertThatThrownBy(
            () ->
                new Arm64Machine(
                    3,
                    0x800_0000L,
                    0x80a_0000L,
                    0x40000,
                    Arm64Machine.SerialPort.PL011,
                    0x900_0000L,
                    33))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("redistributorsBytes 0x40000; 3 processors need 0x60000");
  }
}
