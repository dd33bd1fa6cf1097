package ward.poison;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.poison.LedgerException.Kind;

/** Another process writes the ledger and is killed without warning. */
@Timeout(60)
class LedgerJournalDurabilityTest {

  private static final int SIGKILL_STATUS = 128 + 9;

  @TempDir Path temp;
  private Path directory;
  private Path output;
  private Process writer;

  @BeforeEach
  void startWriter() throws Exception {
    directory = temp.resolve("ledger");
    output = temp.resolve("output");
    writer =
        new ProcessBuilder(
                Path.of(System.getProperty("java.home"), "bin", "java").toString(),
                "-cp",
                System.getProperty("java.class.path"),
                AppendingProcess.class.getName(),
                directory.toString())
            .redirectErrorStream(true)
            .redirectOutput(output.toFile())
            .start();
  }

  @AfterEach
  void endWriter() {
    writer.destroyForcibly();
  }

  @Test
  void everyLossThatAKilledProcessPromisedIsInTheLedger() throws Exception {
    awaitPromises(40);

    kill();

    PoisonLedger ledger = LedgerJournal.read(directory).ledger();
    List<Long> promised = promises();
    assertThat(promised).hasSizeGreaterThanOrEqualTo(40).allMatch(ledger::contains);
    assertThat(ledger.pageCount()).isBetween((long) promised.size(), promised.size() + 1L);
  }

  @Test
  void aKilledProcessLeavesALedgerThatCanBeWritten() throws Exception {
    awaitPromises(5);

    kill();

    try (LedgerJournal journal = LedgerJournal.open(directory, "web-7")) {
      assertThat(journal.append(List.of(Losses.page(0x70_0000_0000L)))).hasSize(1);
    }
  }

  @Test
  void twoProcessesCannotWriteOneLedger() throws Exception {
    awaitPromises(1);

    assertThatThrownBy(() -> LedgerJournal.open(directory, "web-7"))
        .isInstanceOfSatisfying(
            LedgerException.class, e -> assertThat(e.kind()).isEqualTo(Kind.IN_USE))
        .hasMessageContaining("is in use by another process");
  }

  private void awaitPromises(int count) throws Exception {
    while (promises().size() < count) {
      assertThat(writer.isAlive()).as(Files.readString(output)).isTrue();
      Thread.sleep(10);
    }
  }

  /** The addresses of the whole lines that the writer printed. */
  private List<Long> promises() throws Exception {
    String text = Files.readString(output);
    String lines = text.substring(0, text.lastIndexOf('\n') + 1);
    return lines.lines().map(Long::valueOf).toList();
  }

  private void kill() throws Exception {
    writer.destroyForcibly();
    assertThat(writer.waitFor(30, TimeUnit.SECONDS)).isTrue();
    assertThat(writer.exitValue()).isEqualTo(SIGKILL_STATUS);
  }
}
