package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

class LayoutFileTest {

  private static final String REGION =
      "{\"guestPhysicalAddress\":\"0x0\",\"lengthBytes\":\"0x2000\",\"fileOffset\":\"0x0\"}";

  @TempDir Path temp;

  private Path fileOf(String json) throws Exception {
    return Files.writeString(temp.resolve("layout.json"), json);
  }

  private void assertRefused(String json, String message) throws Exception {
    Path file = fileOf(json);

    assertThatThrownBy(() -> LayoutFile.read(file))
        .isInstanceOfSatisfying(
            CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED))
        .hasMessage("layout %s: %s", file, message);
  }

  @Test
  void readsNumbersAsHexStringsDecimalStringsAndJsonNumbers() throws Exception {
    Path file =
        fileOf(
            """
            {"guest": "web-7",
             "regions": [
               {"guestPhysicalAddress": "0x100000", "lengthBytes": "8192", "fileOffset": 4096}
             ]}
            """);

    assertThat(LayoutFile.read(file))
        .isEqualTo(new GuestLayout("web-7", List.of(new GuestRegion(0x100000, 8192, 4096))));
  }

  @Test
  void readsWhatItWrote() {
    GuestLayout layout =
        new GuestLayout(
            "gäst \"7\"",
            List.of(
                new GuestRegion(0, 0x1000_0000, 0),
                new GuestRegion(1L << 32, 1L << 43, 0x1000_0000)));
    Path file = temp.resolve("written.json");

    LayoutFile.write(file, layout);

    assertThat(LayoutFile.read(file)).isEqualTo(layout);
    assertThat(file).content().contains("\"0x100000000\"");
  }

  @Test
  void saysLineAndColumnOfASyntaxError() throws Exception {
    Path file = fileOf("{\"guest\": \"web-7\",\n \"regions\": [}");

    assertThatThrownBy(() -> LayoutFile.read(file))
        .hasMessageStartingWith("layout %s: line 2, column ".formatted(file))
        .hasMessageNotContaining("\n");
  }

  @Test
  void namesAFieldThatDoesNotExist() throws Exception {
    Path file =
        fileOf("{\"guest\":\"web-7\",\"regions\":[" + REGION.replace("{", "{\"numa\":1,") + "]}");

    assertThatThrownBy(() -> LayoutFile.read(file))
        .hasMessageStartingWith("layout %s: line 1, column ".formatted(file))
        .hasMessageContaining(": regions[0].numa: no such field; known are [")
        .hasMessageContaining("fileOffset");
  }

  @Test
  void namesAFieldThatIsMissing() throws Exception {
    Path file =
        fileOf(
            "{\"guest\":\"web-7\",\"regions\":[" + REGION.replace("fileOffset", "offset") + "]}");

    assertThatThrownBy(() -> LayoutFile.read(file))
        .hasMessageEndingWith(": regions[0].fileOffset: the field is missing");
  }

  @Test
  void namesTheFieldWithABadNumber() throws Exception {
    assertRefused(
        "{\"guest\":\"web-7\",\"regions\":[" + REGION.replace("0x2000", "2 MiB") + "]}",
        "line 1, column 73: regions[0].lengthBytes: \"2 MiB\" is not a number from 0 to 2^63 - 1;"
            + " write \"0x1000\", \"4096\" or 4096");
  }

  @Test
  void refusesAMissingFieldANullAndAFieldThatIsThereTwice() throws Exception {
    for (String json :
        List.of(
            "{\"regions\":[" + REGION + "]}",
            "{\"guest\":null,\"regions\":[" + REGION + "]}",
            "{\"guest\":\"a\",\"regions\":null}",
            "{\"guest\":\"a\",\"regions\":[null]}",
            "{\"guest\":\"a\",\"regions\":[{\"guestPhysicalAddress\":0,\"lengthBytes\":4096}]}",
            "{\"guest\":\"a\",\"guest\":\"b\",\"regions\":[" + REGION + "]}",
            "{\"guest\":\"a\",\"regions\":[" + REGION.replace("\"0x2000\"", "null") + "]}",
            "{\"guest\":\"a\",\"regions\":[" + REGION.replace("\"0x2000\"", "4096.0") + "]}",
            "{\"guest\":\"a\",\"regions\":[" + REGION + "]} x",
            "null",
            "")) {
      Path file = fileOf(json);

      assertThatThrownBy(() -> LayoutFile.read(file))
          .as(json)
          .isInstanceOfSatisfying(
              CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED))
          .hasMessageStartingWith("layout " + file + ": ");
    }
  }

  @Test
  void saysWhatIsWrongWithTheRegions() throws Exception {
    assertRefused(
        "{\"guest\":\"web-7\",\"regions\":[" + REGION + "," + REGION + "]}",
        "regions overlap: 0x0..0x2000 and 0x0..0x2000");
    assertRefused("{\"guest\":\"web-7\",\"regions\":[]}", "no regions; a guest has at least one");
    assertRefused(
        "{\"guest\":\"web-7\",\"regions\":[" + REGION.replace("0x2000", "0x2001") + "]}",
        "lengthBytes 0x2001; a multiple of 4096 from 0 to 2^52 is allowed");
  }

  @Test
  void saysThatThereIsNoFile() {
    Path file = temp.resolve("nowhere.json");

    assertThatThrownBy(() -> LayoutFile.read(file))
        .hasMessage("layout %s: NoSuchFileException: %s", file, file);
  }

  @Test
  void saysWhyItCannotWrite() {
    GuestLayout layout = new GuestLayout("web-7", List.of(new GuestRegion(0, 4096, 0)));

    assertThatThrownBy(() -> LayoutFile.write(temp.resolve("no/dir.json"), layout))
        .isInstanceOfSatisfying(
            CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.HOST_REFUSED));
  }
}
