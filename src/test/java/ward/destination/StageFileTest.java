package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.poison.LedgerJournal;
import ward.poison.MigrationRecord;
import ward.poison.MigrationRecord.Stage;

class StageFileTest {

  private static final UUID SESSION = UUID.fromString("6a110939-b10d-4c55-a8d1-0123456789ab");
  private static final MemoryIdentity IDENTITY =
      new MemoryIdentity(
          Fixture.layout(4), List.of(new PageSample(Fixture.frame(0), "ab".repeat(32))));

  @TempDir Path directory;
  private LedgerJournal journal;

  @BeforeEach
  void open() throws IOException {
    journal = LedgerJournal.open(directory, "vm-1");
  }

  @AfterEach
  void close() throws IOException {
    journal.close();
  }

  private StageFile stagesIn(String home) {
    StageFile stages = new StageFile();
    stages.keepIn(journal.migrationFile(), home, "192.0.2.1:4444");
    return stages;
  }

  private MigrationRecord recorded() throws IOException {
    return journal.migrationFile().read().orElseThrow();
  }

  @Test
  void whatTheNextProcessNeedsIsOnDiskAtEveryStep() throws IOException {
    StageFile stages = stagesIn("process 7");

    stages.attempt(1);
    assertThat(journal.migrationFile().read()).isEmpty();
    stages.mapApplied(IDENTITY, SESSION, 1);
    assertEquals(Stage.MAP_APPLIED, recorded().stage());
    assertEquals(Optional.of(IDENTITY), recorded().memory());
    stages.attempt(2);
    assertEquals(2, recorded().attempt());
    assertEquals(Stage.MAP_APPLIED, recorded().stage());
    stages.resumed();
    assertEquals(Stage.RESUMED, recorded().stage());
    stages.complete();

    assertEquals(Stage.COMPLETE, recorded().stage());
    assertEquals(SESSION, recorded().session());
    assertEquals(2, recorded().attempt());
  }

  @Test
  void aSessionIsInheritedInTheSameHomeAndGoesOnInTheSameRecord() throws IOException {
    stagesIn("process 7").mapApplied(IDENTITY, SESSION, 3);

    StageFile next = stagesIn("process 7");
    MigrationRecord left = next.inherited(false).orElseThrow();
    next.attempt(left.attempt() + 1);
    next.resumed();

    assertEquals(4, recorded().attempt());
    assertEquals(Stage.RESUMED, recorded().stage());
    assertEquals(SESSION, recorded().session());
  }

  /** Half of what had not arrived may be in the ledger by then; the source would contradict it. */
  @Test
  void thatTheSourceIsTakenForLostIsNotTakenBackByTheNextProcess() throws IOException {
    StageFile stages = stagesIn("process 7");
    stages.mapApplied(IDENTITY, SESSION, 1);
    stages.resumed();
    assertThat(stages.isSourceLost()).isFalse();

    stages.sourceLost();

    StageFile next = stagesIn("process 7");
    next.inherited(true);
    assertThat(next.isSourceLost()).isTrue();
  }

  /** The copy that it left here is stale, also if it nearly came back. */
  @Test
  void howTheGuestOnceLeftIsKnownAgainWhenItsReturnWasGivenUp() throws IOException {
    MigrationRecord departed =
        new MigrationRecord(
            MigrationRecord.Role.SOURCE,
            "vm-1",
            SESSION,
            1,
            Stage.HANDED_OVER,
            "host-b",
            Instant.EPOCH,
            Optional.of(IDENTITY),
            Map.of());
    journal.migrationFile().write(departed);
    StageFile stages = stagesIn("process 7");

    assertThat(stages.inherited(false)).isEmpty();
    stages.mapApplied(IDENTITY, SESSION, 1);
    stages.aborted();

    assertEquals(departed, recorded());
  }

  @Test
  void aSessionThatWasGivenUpIsNotInherited() throws IOException {
    StageFile stages = stagesIn("process 7");
    stages.mapApplied(IDENTITY, SESSION, 1);

    stages.aborted();

    assertThat(stagesIn("process 7").inherited(false)).isEmpty();
  }

  /**
   * Its memory, and all that the guest did since, is gone; the source's copy is older than that.
   */
  @Test
  void aSessionIsNotGoneOnWithInAnotherProcess() throws IOException {
    StageFile stages = stagesIn("process 7");
    stages.mapApplied(IDENTITY, SESSION, 1);
    stages.resumed();

    var e = assertThrows(InheritanceException.class, () -> stagesIn("process 8").inherited(false));

    assertThat(e)
        .hasMessageContaining(SESSION.toString())
        .hasMessageContaining("brought the guest to another process (process 7)")
        .hasMessageContaining("remove the file `migration`");
  }

  @Test
  void aGuestThatArrivedOnceMayArriveAgainInAnotherProcess() throws IOException {
    StageFile stages = stagesIn("process 7");
    stages.mapApplied(IDENTITY, SESSION, 1);
    stages.resumed();
    stages.complete();

    assertThat(stagesIn("process 8").inherited(false)).isEmpty();
    assertThat(stagesIn("process 7").inherited(true)).isPresent();
  }

  @Test
  void aGuestThatHasRunWithoutARecordOfItIsNobodysToGoOnWith() {
    var e = assertThrows(InheritanceException.class, () -> stagesIn("process 7").inherited(true));

    assertThat(e)
        .hasMessageContaining("process 7")
        .hasMessageContaining("knows of no migration that brought it there");
  }

  @Test
  void aGuestThatLivesInThisProcessLeavesNothingBehind() throws IOException {
    StageFile stages = new StageFile();

    stages.mapApplied(IDENTITY, SESSION, 1);
    stages.resumed();
    stages.complete();

    assertThat(journal.migrationFile().read()).isEmpty();
  }
}
