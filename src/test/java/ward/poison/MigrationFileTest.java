package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.poison.LedgerException.Kind;
import ward.poison.MigrationRecord.Role;
import ward.poison.MigrationRecord.Stage;

class MigrationFileTest {

  private static final GuestLayout LAYOUT =
      new GuestLayout("web-7", List.of(new GuestRegion(0x10000, 0x4000, 0)));

  private static final MigrationRecord OFFERED =
      new MigrationRecord(
          Role.SOURCE,
          "web-7",
          UUID.fromString("6a110939-b10d-4c55-a8d1-0123456789ab"),
          1,
          Stage.OFFERED,
          "host-b at 192.0.2.2:41000",
          Losses.NOON,
          Optional.empty(),
          Map.of());

  private static final MigrationRecord APPLIED =
      OFFERED
          .with(
              new MemoryIdentity(
                  LAYOUT, List.of(new PageSample(0x11, "0123456789abcdef".repeat(4)))))
          .with("memory file", "device 26, inode 1234, 16384 bytes\n\u00e4\u0000")
          .at(Stage.MAP_APPLIED, Losses.NOON.plusMillis(7));

  @TempDir Path temp;

  private LedgerJournal journal;
  private MigrationFile file;

  @BeforeEach
  void openTheLedger() throws Exception {
    journal = LedgerJournal.open(temp, "web-7");
    file = journal.migrationFile();
  }

  @AfterEach
  void closeTheLedger() throws Exception {
    journal.close();
  }

  private Path path() {
    return temp.resolve("migration");
  }

  @Test
  void aLedgerWithoutAMigrationHasNoRecord() throws Exception {
    assertThat(file.read()).isEmpty();
    assertThat(MigrationFile.peek(temp)).isEmpty();
  }

  @Test
  void theNextProcessReadsWhatWasWritten() throws Exception {
    file.write(OFFERED);
    file.write(APPLIED);
    journal.close();

    try (LedgerJournal next = LedgerJournal.open(temp, "web-7")) {
      assertThat(next.migrationFile().read()).contains(APPLIED);
    }
    assertThat(MigrationFile.peek(temp)).contains(APPLIED);
  }

  @Test
  void everyRoleAndStageIsReadBack() throws Exception {
    for (Stage stage : Stage.values()) {
      for (Role role : Role.values()) {
        MigrationRecord record =
            new MigrationRecord(
                role,
                "web-7",
                UUID.randomUUID(),
                Integer.MAX_VALUE,
                stage,
                "",
                Losses.NOON,
                Optional.empty(),
                Map.of("a", "", "b", "x".repeat(4096)));

        file.write(record);

        assertThat(file.read()).contains(record);
      }
    }
  }

  @Test
  void anotherAttemptIsTheSameMigration() {
    MigrationRecord later = APPLIED.inAttempt(4);

    assertThat(later.attempt()).isEqualTo(4);
    assertThat(later.inAttempt(1)).isEqualTo(APPLIED);
  }

  @Test
  void aMigrationThatIsForgottenLeavesNothingBehind() throws Exception {
    file.write(APPLIED);

    file.remove();
    file.remove();

    assertThat(file.read()).isEmpty();
    assertThat(path()).doesNotExist();
  }

  @Test
  void whatACrashLeftUnderTheUnfinishedNameIsNeverRead() throws Exception {
    Files.write(temp.resolve("migration.new"), new byte[] {1, 2, 3});

    assertThat(file.read()).isEmpty();
    file.write(APPLIED);
    assertThat(file.read()).contains(APPLIED);
  }

  @Test
  void onlyTheOwnerMayReadIt() throws Exception {
    file.write(APPLIED);

    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(path())))
        .isEqualTo("rw-------");
  }

  @Test
  void aRecordThatWasCutAnywhereIsDamagedAndSaysWhatToDo() throws Exception {
    byte[] whole = MigrationFormat.encode(APPLIED);

    for (int length = 0; length < whole.length; length++) {
      Files.write(path(), Arrays.copyOf(whole, length));

      requireDamaged("cut to " + length);
    }
  }

  @Test
  void aFlippedBitAnywhereIsNoticed() throws Exception {
    byte[] whole = MigrationFormat.encode(APPLIED);

    for (int bit = 0; bit < whole.length * Byte.SIZE; bit += 3) {
      byte[] flipped = whole.clone();
      flipped[bit / Byte.SIZE] ^= (byte) (1 << bit % Byte.SIZE);
      Files.write(path(), flipped);

      requireDamaged("bit " + bit);
    }
  }

  @Test
  void bytesAfterTheRecordAreDamage() throws Exception {
    byte[] whole = MigrationFormat.encode(APPLIED);

    Files.write(path(), Arrays.copyOf(whole, whole.length + 1));

    requireDamaged("one byte more");
  }

  private void requireDamaged(String how) {
    assertThatThrownBy(() -> file.read())
        .as(how)
        .isInstanceOfSatisfying(
            LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.DAMAGED))
        .hasMessageContaining("%s is damaged: ", path())
        .hasMessageEndingWith(
            "; find out where the guest runs, and remove the file only if it runs nowhere else");
  }

  @Test
  void aRecordOfAnotherGuestIsRefusedByBothNames() throws Exception {
    file.write(APPLIED);
    Path other = Files.createDirectory(temp.resolve("db-1"));
    Files.copy(path(), other.resolve("migration"));

    try (LedgerJournal wrong = LedgerJournal.open(other, "db-1")) {
      assertThatThrownBy(() -> wrong.migrationFile().read())
          .isInstanceOfSatisfying(
              LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.OTHER_GUEST))
          .hasMessageContaining("guest \"web-7\", not of \"db-1\"");
      assertThatThrownBy(() -> wrong.migrationFile().write(APPLIED))
          .isInstanceOf(IllegalArgumentException.class);
    }
  }

  @Test
  void aRecordThatCannotBeWrittenLeavesTheOneBefore() throws Exception {
    file.write(OFFERED);
    Files.createDirectories(temp.resolve("migration.new").resolve("in the way"));

    assertThatThrownBy(() -> file.write(APPLIED))
        .isInstanceOfSatisfying(LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.IO))
        .hasMessageContaining("cannot write " + path());

    assertThat(file.read()).contains(OFFERED);
  }

  @Test
  void nobodyWritesWithoutTheLedgersLock() throws Exception {
    journal.close();

    assertThatThrownBy(() -> file.write(APPLIED)).isInstanceOf(IllegalStateException.class);
    assertThatThrownBy(() -> file.remove()).isInstanceOf(IllegalStateException.class);
    assertThat(path()).doesNotExist();
  }

  @Test
  void aLedgerThatIsNobodysHasNoMigration() throws IOException {
    try (LedgerJournal nobodys = LedgerJournal.openUnbound(temp.resolve("new"))) {
      assertThatThrownBy(nobodys::migrationFile).isInstanceOf(IllegalStateException.class);
    }
  }

  @Test
  void refusesWhatIsLongerThanTheFileTakes() {
    assertThatThrownBy(() -> OFFERED.with("key", "x".repeat(4097)))
        .hasMessage("detail key has 4097 characters; at most 4096 are allowed");
    assertThatThrownBy(() -> OFFERED.inAttempt(0)).hasMessage("attempt 0; 1 or more");
  }
}
