package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static ward.poison.Losses.extent;
import static ward.poison.Losses.frames;
import static ward.poison.Losses.page;

import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.poison.LedgerException.Kind;

class LedgerJournalTest {

  @TempDir Path temp;

  private Path directory() {
    return temp.resolve("ledgers").resolve("web-7");
  }

  private Path file() {
    return directory().resolve("journal");
  }

  private static void assertRefused(Kind kind, ThrowingOpen open, String message) {
    assertThatThrownBy(open::run)
        .isInstanceOfSatisfying(LedgerException.class, e -> assertThat(e.kind()).isEqualTo(kind))
        .hasMessageContaining(message);
  }

  @FunctionalInterface
  private interface ThrowingOpen {
    void run() throws LedgerException;
  }

  private void write(PoisonEntry... entries) throws LedgerException {
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      journal.append(List.of(entries));
    }
  }

  @Test
  void makesDirectoryAndFileForTheOwnerOnly() throws Exception {
    LedgerJournal.open(directory(), "web-7").close();

    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(file())))
        .isEqualTo("rw-------");
    assertThat(PosixFilePermissions.toString(Files.getPosixFilePermissions(directory())))
        .isEqualTo("rwx------");
  }

  @Test
  void knowsAfterReopeningWhatItKnewBefore() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      journal.append(List.of(page(0x5000), extent(0x200000, 21)));
      journal.appendHeld(frames(0x200, 0x201, 0x3ff));
    }

    try (LedgerJournal again = LedgerJournal.open(directory(), "web-7")) {
      assertThat(again.ledger().entries()).containsExactly(page(0x5000), extent(0x200000, 21));
      assertThat(again.ledger().heldFrames()).isEqualTo(frames(0x200, 0x201, 0x3ff));
      assertThat(again.ledger().pageCount()).isEqualTo(510);
      assertThat(again.warnings()).isEmpty();
    }
  }

  @Test
  void knowsTheHostsThatTheGuestCameThroughEachHopOnce() throws Exception {
    Departure first = new Departure("alpha", Instant.ofEpochMilli(1_000));
    Departure second = new Departure("beta", Instant.ofEpochMilli(2_000));
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      journal.appendDepartures(List.of(first));
    }
    long length = Files.size(file());

    try (LedgerJournal again = LedgerJournal.open(directory(), "web-7")) {
      again.appendDepartures(List.of(first));
      assertThat(Files.size(file())).isEqualTo(length);
      again.appendDepartures(List.of(first, second));
      assertThat(again.departures()).containsExactly(first, second);
    }

    assertThat(LedgerJournal.read(directory()).departures()).containsExactly(first, second);
  }

  @Test
  void answersWithTheNewsOfABatchOnly() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      journal.append(List.of(page(0x5000)));

      assertThat(journal.append(List.of(page(0x5000), page(0x6000), page(0x6000))))
          .containsExactly(page(0x6000));
    }
  }

  @Test
  void belongsToNoGuestUntilOneOpensIt() throws Exception {
    try (LedgerJournal journal = LedgerJournal.openUnbound(directory())) {
      journal.append(List.of(page(0x5000)));
      assertThat(journal.guest()).isEmpty();
    }

    try (LedgerJournal bound = LedgerJournal.open(directory(), "web-7")) {
      assertThat(bound.guest()).contains("web-7");
      assertThat(bound.ledger().entries()).containsExactly(page(0x5000));
    }
    assertThat(LedgerJournal.read(directory()).guest()).contains("web-7");
  }

  @Test
  void keepsItsGuestWhenOpenedWithoutNamingOne() throws Exception {
    write(page(0x5000));

    try (LedgerJournal journal = LedgerJournal.openUnbound(directory())) {
      assertThat(journal.guest()).contains("web-7");
    }
  }

  @Test
  void refusesAnotherGuestNamingBothAndStaysUsable() throws Exception {
    write(page(0x5000));
    byte[] before = Files.readAllBytes(file());

    assertRefused(
        Kind.OTHER_GUEST,
        () -> LedgerJournal.open(directory(), "db-1"),
        "is the ledger of guest \"web-7\", not of \"db-1\"");

    assertThat(Files.readAllBytes(file())).isEqualTo(before);
    LedgerJournal.open(directory(), "web-7").close();
  }

  @Test
  void refusesAGuestWithoutAName() {
    assertThatThrownBy(() -> LedgerJournal.open(directory(), " "))
        .isInstanceOf(IllegalArgumentException.class);
    assertThat(directory()).doesNotExist();
  }

  @Test
  void refusesASecondWriterInTheSameProcessAlsoByAnotherPath() throws Exception {
    try (LedgerJournal first = LedgerJournal.open(directory(), "web-7")) {
      Path link = Files.createSymbolicLink(temp.resolve("link"), directory());

      assertRefused(
          Kind.IN_USE, () -> LedgerJournal.open(directory(), "web-7"), "is in use by this process");
      assertRefused(Kind.IN_USE, () -> LedgerJournal.openUnbound(link), "two writers");
      first.append(List.of(page(0x5000)));
    }

    LedgerJournal.open(directory(), "web-7").close();
  }

  @Test
  void readsWhileAnotherWrites() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      journal.append(List.of(page(0x5000)));

      LedgerSnapshot snapshot = LedgerJournal.read(directory());

      assertThat(snapshot.ledger().digest()).isEqualTo(journal.ledger().digest());
      assertThat(snapshot.warnings()).isEmpty();
    }
  }

  @Test
  void cutsATornTailWithAWarningAndGoesOn() throws Exception {
    write(page(0x5000));
    long intact = Files.size(file());
    Files.write(file(), new byte[] {0, 0, 0, 25, 2, 0, 0}, StandardOpenOption.APPEND);

    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      assertThat(journal.warnings())
          .containsExactly(
              "%s: 7 bytes of a torn record cut off at offset %d; everything before is intact"
                  .formatted(file(), intact));
      assertThat(Files.size(file())).isEqualTo(intact);
      journal.append(List.of(page(0x6000)));
    }
    assertThat(LedgerJournal.read(directory()).ledger().entries())
        .containsExactly(page(0x5000), page(0x6000));
  }

  @Test
  void readingChangesNothingAlsoWithATornTail() throws Exception {
    write(page(0x5000));
    Files.write(file(), new byte[] {0, 0, 0}, StandardOpenOption.APPEND);
    byte[] before = Files.readAllBytes(file());

    LedgerSnapshot snapshot = LedgerJournal.read(directory());

    assertThat(snapshot.ledger().entries()).containsExactly(page(0x5000));
    assertThat(snapshot.warnings()).singleElement().asString().contains("3 bytes", "ignored");
    assertThat(Files.readAllBytes(file())).isEqualTo(before);
  }

  @Test
  void refusesADamagedJournalAndLeavesItAlone() throws Exception {
    write(page(0x5000), page(0x6000));
    byte[] damaged = Files.readAllBytes(file());
    damaged[damaged.length / 2] ^= 1;
    Files.write(file(), damaged);

    assertRefused(
        Kind.DAMAGED, () -> LedgerJournal.openUnbound(directory()), "is damaged at offset");
    assertRefused(Kind.DAMAGED, () -> LedgerJournal.read(directory()), "(nothing was changed)");

    assertThat(Files.readAllBytes(file())).isEqualTo(damaged);
  }

  @Test
  void isFreeAgainAfterARefusal() throws Exception {
    write(page(0x5000));
    byte[] good = Files.readAllBytes(file());
    Files.write(file(), new byte[64]);
    assertRefused(Kind.DAMAGED, () -> LedgerJournal.openUnbound(directory()), "is damaged");

    Files.write(file(), good);

    LedgerJournal.openUnbound(directory()).close();
  }

  @Test
  void finishesAnAppendOfAnInterruptedThreadAndStaysUsable() throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(directory(), "web-7")) {
      Thread.currentThread().interrupt();

      journal.append(List.of(page(0x5000)));

      assertThat(Thread.interrupted()).isTrue();
      assertThat(journal.append(List.of(page(0x6000)))).hasSize(1);
    }
  }

  @Test
  void readingSaysWhenThereIsNoLedger() {
    assertRefused(
        Kind.IO,
        () -> LedgerJournal.read(temp),
        "no ledger in %s: it has no file named journal".formatted(temp));
  }

  @Test
  void saysWhyADirectoryCannotBeMade() throws Exception {
    Path file = Files.createFile(temp.resolve("file"));

    assertRefused(
        Kind.IO,
        () -> LedgerJournal.openUnbound(file.resolve("ledger")),
        "cannot create the ledger's directory");
  }
}
