package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Circumstances;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;
import ward.poison.Severity;

class LedgerCommandTest {

  @TempDir Path temp;

  private Path ledger() {
    return temp.resolve("ledger");
  }

  private CommandRun run(String command, String... rest) {
    List<String> arguments = new ArrayList<>(List.of(command, "--ledger", ledger().toString()));
    arguments.addAll(List.of(rest));
    return CommandRun.of(new LedgerCommand(), arguments.toArray(String[]::new));
  }

  private String layout() throws Exception {
    return Files.writeString(
            temp.resolve("layout.json"),
            "{\"guest\":\"web-7\",\"regions\":["
                + "{\"guestPhysicalAddress\":0,\"lengthBytes\":8192,\"fileOffset\":0},"
                + "{\"guestPhysicalAddress\":\"0x200000\",\"lengthBytes\":\"0x300000\","
                + "\"fileOffset\":8192}]}")
        .toString();
  }

  @Test
  void showTellsOfTheMigrationThatTookTheGuestAway() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal
          .migrationFile()
          .write(
              new MigrationRecord(
                  MigrationRecord.Role.SOURCE,
                  "web-7",
                  new UUID(0, 7),
                  1,
                  MigrationRecord.Stage.MAP_APPLIED,
                  "host-b at 192.0.2.2:41000",
                  Instant.parse("2026-01-31T12:00:00Z"),
                  Optional.empty(),
                  Map.of()));
    }

    assertThat(run("show").lines())
        .contains(
            "migration to host-b at 192.0.2.2:41000: map applied since 2026-01-31T12:00:00Z, session"
                + " 00000000-0000-0000-0000-000000000007");
    assertThat(
            new ObjectMapper()
                .readTree(run("show", "--json").out())
                .at("/migration/stage")
                .asText())
        .isEqualTo("MAP_APPLIED");
    Files.write(ledger().resolve("migration"), new byte[64]);
    CommandRun damaged = run("show");
    assertThat(damaged.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED.code());
    assertThat(damaged.err()).contains("migration is damaged");
  }

  @Test
  void addSaysOfEachAddressWhetherItWasNews() throws Exception {
    assertThat(run("add", "0x5000", "24576").lines())
        .containsExactly("new   0x5000 4 KiB", "new   0x6000 4 KiB");

    CommandRun again = run("add", "0x5000", "0x7000", "0x7000");

    assertThat(again.exitCode()).isZero();
    assertThat(again.lines())
        .containsExactly("known 0x5000 4 KiB", "new   0x7000 4 KiB", "known 0x7000 4 KiB");
    assertThat(LedgerJournal.read(ledger()).ledger().pageCount()).isEqualTo(3);
    assertThat(LedgerJournal.read(ledger()).guest()).isEmpty();
  }

  @Test
  void addRecordsHostExtentAndThatItWasDeclared() throws Exception {
    assertThat(run("add", "--host", "rack-3", "--shift", "21", "0x200000").lines())
        .containsExactly("new   0x200000 2 MiB");

    PoisonEntry entry = LedgerJournal.read(ledger()).ledger().entries().get(0);
    assertThat(entry.pageShift()).isEqualTo(21);
    assertThat(entry.origin().host()).isEqualTo("rack-3");
    assertThat(entry.origin().discovery()).isEqualTo(Origin.Discovery.DECLARED);
    assertThat(entry.origin().time()).isBetween(Instant.now().minusSeconds(60), Instant.now());
  }

  @Test
  void addBindsTheLedgerToTheGuestOfTheLayout() throws Exception {
    assertThat(run("add", "--layout", layout(), "--shift", "21", "0x200000").exitCode()).isZero();

    assertThat(LedgerJournal.read(ledger()).guest()).contains("web-7");
  }

  @Test
  void addRefusesWhatIsNotRamAndWritesNothing() throws Exception {
    CommandRun run = run("add", "--layout", layout(), "0x1000", "0x2000");

    assertThat(run.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED.code());
    assertThat(run.err())
        .isEqualTo(
            "0x2000 is not RAM of guest \"web-7\"; its RAM is 0x0..0x2000, 0x200000..0x500000");
    assertThat(ledger()).doesNotExist();
  }

  @Test
  void addRefusesAnExtentThatIsNotRamToItsEnd() throws Exception {
    CommandRun run = run("add", "--layout", layout(), "--shift", "21", "0x400000");

    assertThat(run.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED.code());
    assertThat(run.err()).startsWith("0x500000 is not RAM");
  }

  @Test
  void addRefusesTheLedgerOfAnotherGuest() throws Exception {
    LedgerJournal.open(ledger(), "db-1").close();

    CommandRun run = run("add", "--layout", layout(), "0x1000");

    assertThat(run.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED.code());
    assertThat(run.err()).contains("db-1", "web-7");
  }

  @Test
  void addRefusesALedgerThatADaemonHasOpen() throws Exception {
    try (LedgerJournal daemon = LedgerJournal.open(ledger(), "web-7")) {
      CommandRun run = run("add", "0x1000");

      assertThat(run.exitCode()).isEqualTo(ExitCode.HOST_REFUSED.code());
      assertThat(run.err()).contains("is in use");
      assertThat(daemon.ledger().pageCount()).isZero();
    }
  }

  @Test
  void addRefusesAnUnalignedAddressAShiftOutOfRangeAndNoAddress() {
    assertThat(run("add", "0x1800").exitCode()).isEqualTo(ExitCode.USAGE.code());
    assertThat(run("add", "0x1800").err())
        .isEqualTo(
            "guest-physical address 0x1800 is not a multiple of the lost extent, 0x1000 bytes");
    assertThat(run("add", "--shift", "31", "0").err())
        .isEqualTo("page shift 31; 12 to 30 is allowed");
    assertThat(run("add").exitCode()).isEqualTo(ExitCode.USAGE.code());
    assertThat(run("add", "page").exitCode()).isEqualTo(ExitCode.USAGE.code());
    assertThat(ledger()).doesNotExist();
  }

  @Test
  void showPrintsATableUnderALineAboutTheWhole() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal.append(
          List.of(
              entry(0x5000, 12, Severity.ACTION_REQUIRED, "rack-3", Origin.Discovery.UNREADABLE),
              entry(0x6000, 12, Severity.ACTION_REQUIRED, "b", Origin.Discovery.REPORTED),
              entry(0x200000, 21, Severity.ACTION_OPTIONAL, "b", Origin.Discovery.DECLARED)));
      PageSet held = new PageSet();
      held.add(6);
      held.add(0x201);
      journal.appendHeld(held);

      assertThat(run("show").lines())
          .containsExactly(
              "guest web-7: 512 pages lost, 2 held, digest " + journal.ledger().digest(),
              "GPA       SIZE   SEVERITY         HOST    TIME                  FOUND       HELD",
              "0x5000    4 KiB  action required  rack-3  2026-01-31T12:00:00Z  unreadable  -",
              "0x6000    4 KiB  action required  b       2026-01-31T12:00:00Z  reported    held",
              "0x200000  2 MiB  action optional  b       2026-01-31T12:00:00Z  declared    1 of 512");
    }
  }

  @Test
  void showPutsNeighboursThatWereFoundTogetherIntoOneLine() throws Exception {
    Circumstances common =
        new Circumstances(
            12,
            Severity.ACTION_REQUIRED,
            entry(0, 12, Severity.ACTION_REQUIRED, "b", Origin.Discovery.DECLARED).origin());
    PoisonMap losses = new PoisonMap();
    losses.add(common, new PageRun(5, 8));
    losses.add(common, new PageRun(0x10, 300_000));
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal.append(losses);
      PageSet held = new PageSet();
      held.add(6);
      journal.appendHeld(held);
    }

    assertThat(run("show").lines().subList(1, 4))
        .containsExactly(
            "GPA      SIZE            SEVERITY         HOST  TIME                  FOUND     HELD",
            "0x5000   8 x 4 KiB       action required  b     2026-01-31T12:00:00Z  declared  1 of 8",
            "0x10000  300000 x 4 KiB  action required  b     2026-01-31T12:00:00Z  declared  -");
    JsonNode entries = new ObjectMapper().readTree(run("show", "--json").out()).get("entries");
    assertThat(entries).hasSize(2);
    assertThat(entries.get(1).get("extents").asLong()).isEqualTo(300_000);
    assertThat(entries.get(1).get("sizeBytes").asLong()).isEqualTo(300_000L << 12);
  }

  @Test
  void showSaysWhatTheGuestHasGivenUp() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal.append(
          List.of(
              entry(0x5000, 12, Severity.ACTION_REQUIRED, "rack-3", Origin.Discovery.UNREADABLE),
              entry(0x200000, 21, Severity.ACTION_OPTIONAL, "b", Origin.Discovery.DECLARED)));
      PageSet givenUp = new PageSet();
      givenUp.add(5);
      givenUp.add(0x201);
      journal.appendGivenUp(givenUp);

      List<String> lines = run("show").lines();

      assertThat(lines.get(0)).startsWith("guest web-7: 511 pages lost, 0 held, 2 given up, ");
      assertThat(lines.get(2)).endsWith("unreadable  given up");
      assertThat(lines.get(3)).endsWith("declared    1 of 512 given up");
    }
  }

  private static PoisonEntry entry(
      long address, int shift, Severity severity, String host, Origin.Discovery discovery) {
    Origin origin = new Origin(host, Instant.parse("2026-01-31T12:00:00Z"), discovery);
    return new PoisonEntry(address, shift, severity, origin);
  }

  @Test
  void showOfAnEmptyLedgerIsOneLine() throws Exception {
    LedgerJournal.openUnbound(ledger()).close();

    assertThat(run("show").lines())
        .singleElement()
        .asString()
        .startsWith("no guest yet: 0 pages lost, 0 held, digest e3b0c442");
  }

  @Test
  void showKeepsControlCharactersOfAPeersNameOffTheTerminal() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal.append(
          List.of(
              entry(0, 12, Severity.ACTION_REQUIRED, "a\u001b[31mb", Origin.Discovery.REPORTED)));
    }

    assertThat(run("show").out()).contains("a?[31mb").doesNotContain("\u001b");
  }

  @Test
  void showPrintsJson() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(ledger(), "web-7")) {
      journal.append(
          List.of(entry(0x200000, 21, Severity.ACTION_REQUIRED, "b", Origin.Discovery.CONSUMED)));
    }

    JsonNode shown = new ObjectMapper().readTree(run("show", "--json").out());

    assertThat(shown.get("guest").asText()).isEqualTo("web-7");
    assertThat(shown.get("pages").asLong()).isEqualTo(512);
    assertThat(shown.get("heldPages").asLong()).isZero();
    assertThat(shown.get("digest").asText()).hasSize(64);
    assertThat(shown.get("warnings")).isEmpty();
    assertThat(shown.get("entries").get(0).toString())
        .isEqualTo(
            "{\"guestPhysicalAddress\":\"0x200000\",\"pageShift\":21,\"extents\":1,\"sizeBytes\":2097152,"
                + "\"severity\":\"ACTION_REQUIRED\",\"host\":\"b\","
                + "\"time\":\"2026-01-31T12:00:00Z\",\"discovery\":\"CONSUMED\",\"heldPages\":0,\"givenUpPages\":0}");
  }

  @Test
  void showWarnsOfATornTailOnStandardError() throws Exception {
    run("add", "0x5000");
    Files.write(ledger().resolve("journal"), new byte[3], StandardOpenOption.APPEND);

    CommandRun run = run("show");

    assertThat(run.exitCode()).isZero();
    assertThat(run.err()).contains("3 bytes of a torn record");
    assertThat(run.out()).contains("0x5000").doesNotContain("torn");
  }

  @Test
  void showRefusesADamagedLedgerAndMissesAnAbsentOne() throws Exception {
    assertThat(run("show").err()).startsWith("no ledger in ");
    run("add", "0x5000");
    Files.write(ledger().resolve("journal"), new byte[64]);

    CommandRun run = run("show");

    assertThat(run.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED.code());
    assertThat(run.err()).contains("is damaged at offset 0");
  }

  @Test
  void withoutASubcommandSaysWhichThereAre() {
    CommandRun run = CommandRun.of(new LedgerCommand());

    assertThat(run.exitCode()).isEqualTo(ExitCode.USAGE.code());
    assertThat(run.err()).isEqualTo("which command? add or show are there");
  }
}
