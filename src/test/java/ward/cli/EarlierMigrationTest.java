package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Instant;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.poison.MigrationRecord.Role;
import ward.poison.MigrationRecord.Stage;

class EarlierMigrationTest {

  @TempDir Path directory;

  private LedgerJournal journal;

  @BeforeEach
  void open() throws Exception {
    journal = LedgerJournal.open(directory, "web-7");
  }

  @AfterEach
  void close() throws Exception {
    journal.close();
  }

  private MigrationRecord write(Role role, Stage stage) throws Exception {
    MigrationRecord record =
        new MigrationRecord(
            role,
            "web-7",
            new UUID(1, 2),
            1,
            stage,
            "host-b at 192.0.2.2:41000",
            Instant.parse("2026-01-31T12:00:00Z"),
            Optional.empty(),
            Map.of());
    journal.migrationFile().write(record);
    return record;
  }

  private Optional<MigrationRecord> toGoOnWith(boolean run) {
    return EarlierMigration.of(journal, false).toGoOnWith(run);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void withoutARecordTheGuestIsHere(boolean run) {
    assertThat(toGoOnWith(run)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"SOURCE, OFFERED", "DESTINATION, COMPLETE"})
  void aGuestThatDidNotLeaveOrThatHasArrivedIsHere(Role role, Stage stage) throws Exception {
    write(role, stage);

    assertThat(toGoOnWith(true)).isEmpty();
    assertThat(toGoOnWith(false)).isEmpty();
  }

  @Test
  void aSessionThatMayRunElsewhereGoesOnAndNeverRunsHere() throws Exception {
    MigrationRecord record = write(Role.SOURCE, Stage.MAP_APPLIED);

    assertThat(toGoOnWith(false)).contains(record);
    assertThatThrownBy(() -> toGoOnWith(true))
        .isInstanceOfSatisfying(
            CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED))
        .hasMessage(
            "--run: the guest may run at host-b at 192.0.2.2:41000 since 2026-01-31T12:00:00Z, where"
                + " its pages are still fetched from here; start without --run to go on serving it;"
                + " if that is known to be over, --new-session starts from this memory");
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void aGuestThatWasHandedOverIsStaleHere(boolean run) throws Exception {
    write(Role.SOURCE, Stage.HANDED_OVER);

    assertThatThrownBy(() -> toGoOnWith(run))
        .isInstanceOfSatisfying(
            CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED))
        .hasMessageStartingWith(
            "the guest was handed over to host-b at 192.0.2.2:41000 at 2026-01-31T12:00:00Z: this copy"
                + " is stale");
  }

  @ParameterizedTest
  @CsvSource({"MAP_APPLIED", "RESUMED"})
  void aGuestThatIsStillArrivingCannotBeServedFromHere(Stage stage) throws Exception {
    write(Role.DESTINATION, stage);

    assertThatThrownBy(() -> toGoOnWith(false))
        .isInstanceOf(CommandFailure.class)
        .hasMessageContaining("on its way to this host, from host-b");
  }

  @ParameterizedTest
  @CsvSource({"SOURCE, MAP_APPLIED", "SOURCE, HANDED_OVER", "DESTINATION, RESUMED"})
  void theOperatorMayForgetAllOfIt(Role role, Stage stage) throws Exception {
    write(role, stage);

    assertThat(EarlierMigration.of(journal, true).toGoOnWith(true)).isEmpty();
    assertThat(journal.migrationFile().read()).isEmpty();
  }

  @Test
  void aDamagedRecordIsRefusedUnlessItIsForgotten() throws Exception {
    Files.write(directory.resolve("migration"), new byte[64]);

    assertThatThrownBy(() -> EarlierMigration.of(journal, false))
        .isInstanceOfSatisfying(
            CommandFailure.class, e -> assertThat(e.exitCode()).isEqualTo(ExitCode.INPUT_REFUSED))
        .hasMessageContaining("is damaged")
        .hasMessageContaining("find out where the guest runs");
    assertThat(EarlierMigration.of(journal, true).toGoOnWith(true)).isEmpty();
  }
}
