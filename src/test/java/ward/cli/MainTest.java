package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import picocli.CommandLine;

class MainTest {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    CommandLine command = Main.commandLine();
    command.setOut(new PrintWriter(out, true));
    command.setErr(new PrintWriter(err, true));
    return command.execute(arguments);
  }

  @ParameterizedTest
  @ValueSource(strings = {"", "source", "destination", "ledger", "control", "check"})
  void everyCommandHasHelpWithItsExitCodes(String command) {
    List<String> words = command.isEmpty() ? List.of("--help") : List.of(command, "--help");

    int code = run(words.toArray(String[]::new));

    assertThat(code).isZero();
    assertThat(err.toString()).isEmpty();
    for (ExitCode exit : ExitCode.values()) {
      String firstWords = exit.meaning().substring(0, Math.min(30, exit.meaning().length()));
      assertThat(out.toString())
          .containsPattern("%d +%s".formatted(exit.code(), Pattern.quote(firstWords)));
    }
  }

  @ParameterizedTest
  @ValueSource(strings = {"source", "destination", "ledger", "control", "check"})
  void anUnknownOptionIsOneLineAndCode2(String command) {
    int code = run(command, "--no-such-option");

    assertThat(code).isEqualTo(ExitCode.USAGE.code());
    assertThat(out.toString()).isEmpty();
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString())
        .startsWith("ward " + command + ": ")
        .contains("(`ward " + command + " --help` lists the options)");
  }

  /** Half of it would be obeyed by nobody. */
  @ParameterizedTest
  @ValueSource(
      strings = {
        "--vcpu kvm",
        "--threads 3",
        "--console /tmp/console",
        "--guest-log /tmp/log",
        "--offer 127.0.0.1:1",
        "--announce-poison",
        "--marker sigbus"
      })
  void whatIsTheMemoryOwnersIsNotAskedOfTheDestination(String option) {
    List<String> words =
        new ArrayList<>(
            List.of("destination", "--connect", "127.0.0.1:1", "--ledger", "/nowhere/ledger"));
    words.addAll(List.of("--memory-owner", "/nowhere/owner.sock"));
    words.addAll(List.of(option.split(" ")));

    int code = run(words.toArray(String[]::new));

    assertThat(code).isEqualTo(ExitCode.USAGE.code());
    assertThat(err.toString()).contains(option.split(" ")[0] + " ", "with --memory-owner");
  }

  @Test
  void anOwnerThatDoesNotListenIsNamed() {
    int code =
        run(
            "destination",
            "--connect",
            "127.0.0.1:1",
            "--ledger",
            "/nowhere/ledger",
            "--memory-owner",
            "/nowhere/owner.sock");

    assertThat(code).isEqualTo(ExitCode.HOST_REFUSED.code());
    assertThat(err.toString())
        .contains("no memory owner at /nowhere/owner.sock", "ENOENT", "has to listen before");
  }

  @Test
  void withoutACommandItSaysWhereTheyAreListed() {
    int code = run();

    assertThat(code).isEqualTo(ExitCode.USAGE.code());
    assertThat(err.toString()).contains("ward --help");
  }

  @Test
  void aFailureIsOneLineWithTheCommandsName() {
    int code = run("control", "status", "--socket", "/nonexistent/ward.sock");

    assertThat(code).isEqualTo(ExitCode.HOST_REFUSED.code());
    assertThat(err.toString().lines()).hasSize(1);
    assertThat(err.toString()).startsWith("ward control status: ").contains("/nonexistent");
  }

  @Test
  void everyExitCodeIsItsOwn() {
    assertThat(List.of(ExitCode.values())).extracting(ExitCode::code).doesNotHaveDuplicates();
  }
}
