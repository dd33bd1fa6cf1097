package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.zip.CRC32;
import org.junit.jupiter.api.Test;

class EfiHandOverTest {

  private static final long ADDRESS = 0x4022_0000L;
  private static final byte[] MAP = HexFormat.of().parseHex("aabbccdd");

  private final byte[] bytes = new EfiHandOver(ADDRESS, 0x4021_0000L, MAP).toBytes();
  private final ByteBuffer table = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);

  private int offset(int pointer) {
    return (int) (table.getLong(pointer) - ADDRESS);
  }

  /** UEFI 2.10, 4.2 and 4.3. */
  @Test
  void theSystemTableIsSignedAndItsChecksumIsThatOfTheTableWithoutIt() {
    byte[] withoutChecksum = Arrays.copyOf(bytes, 120);
    Arrays.fill(withoutChecksum, 16, 20, (byte) 0);
    CRC32 expected = new CRC32();
    expected.update(withoutChecksum);

    assertThat(new String(bytes, 0, 8, StandardCharsets.US_ASCII)).isEqualTo("IBI SYST");
    assertThat(table.getInt(12)).as("header size").isEqualTo(120);
    assertThat(table.getInt(16)).isEqualTo((int) expected.getValue());
  }

  @Test
  void itsOnlyTableIsTheAcpiRootPointer() {
    assertThat(table.getLong(104)).isEqualTo(1);
    assertThat(Arrays.copyOfRange(bytes, offset(112), offset(112) + 24))
        .containsExactly(
            HexFormat.of().parseHex("71e86888f1e4d311bc220080c73c8881" + "0000214000000000"));
  }

  @Test
  void thereAreNoServices() {
    assertThat(table.getLong(88)).as("runtime services").isZero();
    assertThat(table.getLong(96)).as("boot services").isZero();
  }

  @Test
  void theVendorIsATerminatedText() {
    assertThat(Arrays.copyOfRange(bytes, offset(24), offset(24) + 10))
        .containsExactly('w', 0, 'a', 0, 'r', 0, 'd', 0, 0, 0);
  }

  @Test
  void theDeviceTreeSaysWhereTheMapIs() {
    DeviceTree tree = new DeviceTree();
    new EfiHandOver(ADDRESS, 0x4021_0000L, MAP).describe(tree.root());
    String found = HexFormat.of().formatHex(tree.toBytes());

    assertThat(Arrays.copyOfRange(bytes, 0x100, bytes.length)).containsExactly(MAP);
    assertThat(found).contains("0000000040220000", "0000000040220100", "00000004", "00000028");
  }
}
