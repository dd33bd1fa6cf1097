package ward.testbed.acpi;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.regex.Pattern;
import java.util.stream.Stream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import ward.testing.Tool;
import ward.vcpu.GhesLayout;

/** What ACPICA's compiler and disassembler, {@code iasl}, thinks of every table. */
class AcpiTablesIaslTest {

  private static final Tool IASL = new Tool("iasl", "acpica-tools");
  private static final int CHECKSUM = 9;
  private static final int CREATOR = 28;
  private static final Pattern COMPLAINT =
      Pattern.compile(
          "error[^ ]*:|warning|invalid|incorrect|unknown|\\*{4}", Pattern.CASE_INSENSITIVE);

  @TempDir Path directory;

  @BeforeAll
  static void requireIasl() {
    IASL.require();
  }

  static Stream<Arguments> tables() {
    GhesLayout ofArm64 = GhesMemory.ofArm64(0x4000_1000L).layout();
    GhesLayout ofX86 = GhesMemory.ofX86(0xd_0000L).layout();
    return Stream.of(
            Map.entry("arm64", AcpiTables.ofArm64(Arm64Machine.ofQemu(2), ofArm64, 0x4000_2000L)),
            Map.entry(
                "arm64 under Ward",
                AcpiTables.ofArm64(Arm64Machine.ofWard(1), ofArm64, 0x4000_2000L)),
            Map.entry("x86-64", AcpiTables.ofX86(new X86Machine(2), ofX86, 0xe_0000L)))
        .flatMap(
            machine ->
                machine.getValue().tables().entrySet().stream()
                    .sorted(Map.Entry.comparingByKey())
                    .map(
                        table -> Arguments.of(machine.getKey(), table.getKey(), table.getValue())));
  }

  @ParameterizedTest(name = "{1} of {0}")
  @MethodSource("tables")
  void iaslDisassemblesTheTableWithoutAComplaint(String machine, String signature, byte[] table)
      throws Exception {
    assertThat(complaints(signature, table)).isEmpty();
  }

  @ParameterizedTest(name = "{1} of {0}")
  @MethodSource("tables")
  void aWrongChecksumWouldBeComplainedOf(String machine, String signature, byte[] table)
      throws Exception {
    table[CHECKSUM]++;

    assertThat(complaints(signature, table))
        .isNotEmpty()
        .allSatisfy(line -> assertThat(line).contains("checksum"));
  }

  /** What it prints and what it writes into its source: there it complains in comments. */
  private List<String> complaints(String signature, byte[] table) throws Exception {
    Path binary = Files.write(directory.resolve(signature + ".dat"), table);
    String printed = IASL.run("-d", binary);
    String source = Files.readString(directory.resolve(signature + ".dsl"));
    return Stream.concat(printed.lines(), source.lines())
        .filter(line -> COMPLAINT.matcher(line).find())
        .toList();
  }

  /** The compiler knows every field's size and every checksum by itself. */
  @ParameterizedTest(name = "{1} of {0}")
  @MethodSource("tables")
  void iaslMakesTheSameTableOfItsOwnSource(String machine, String signature, byte[] table)
      throws Exception {
    Path binary = Files.write(directory.resolve(signature + ".dat"), table);
    IASL.run("-d", binary);

    String said = IASL.run("-p", directory.resolve("again"), directory.resolve(signature + ".dsl"));

    assertThat(said).contains("0 Errors, 0 Warnings");
    assertThat(withoutCreator(Files.readAllBytes(directory.resolve("again.aml"))))
        .containsExactly(withoutCreator(table));
  }

  /** The compiler names itself as creator, which changes the checksum too. */
  private static byte[] withoutCreator(byte[] table) {
    byte[] copy = table.clone();
    copy[CHECKSUM] = 0;
    Arrays.fill(copy, CREATOR, AcpiTable.HEADER_BYTES, (byte) 0);
    return copy;
  }
}
