package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HexFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.testing.Tool;

class DeviceTreeTest {

  private static final Tool DTC = new Tool("dtc", "device-tree-compiler");

  @TempDir Path directory;

  private final DeviceTree tree = new DeviceTree();

  /** Put together by hand from the Devicetree Specification 0.4, chapter 5. */
  @Test
  void aTreeIsHeaderReservationsStructureAndNames() {
    tree.root().cells("a", 2).child("chosen").text("bb", "xy").flag("a");

    assertThat(tree.toBytes())
        .containsExactly(
            HexFormat.of()
                .parseHex(
                    """
                    d00dfeed 00000089 00000038 00000084 00000028
                    00000011 00000010 00000000 00000005 0000004c
                    0000000000000000 0000000000000000

                    00000001 00000000
                    00000003 00000004 00000000 00000002
                    00000001 63686f73 656e0000
                    00000003 00000003 00000002 78790000
                    00000003 00000000 00000000
                    00000002
                    00000002
                    00000009

                    6100 626200
                    """
                        .replaceAll("\\s", "")));
  }

  @Test
  void theCompilerReadsEveryKindOfProperty() throws Exception {
    DTC.require();
    tree.root().cells("#address-cells", 2).cells("#size-cells", 2).text("compatible", "a", "b");
    tree.root().child("memory@40000000").pairs("reg", 0x4000_0000L, 0x2000_0000L).flag("empty");
    Path binary = Files.write(directory.resolve("tree.dtb"), tree.toBytes());

    String source = DTC.run("-q", "-I", "dtb", "-O", "dts", binary);

    assertThat(source.lines().map(String::strip).filter(line -> !line.isEmpty()))
        .containsExactly(
            "/dts-v1/;",
            "/ {",
            "#address-cells = <0x02>;",
            "#size-cells = <0x02>;",
            "compatible = \"a\\0b\";",
            "memory@40000000 {",
            "reg = <0x00 0x40000000 0x00 0x20000000>;",
            "empty;",
            "};",
            "};");
  }

  @Test
  void aPropertyIsSetOnce() {
    DeviceTree.Node chosen = tree.root().child("chosen").flag("a");

    assertThatThrownBy(() -> chosen.cells("a", 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("node \"chosen\" has a property a already");
  }
}
