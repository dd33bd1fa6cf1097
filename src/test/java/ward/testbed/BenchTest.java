package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import picocli.CommandLine;

class BenchTest {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();

  private int run(String... arguments) {
    CommandLine command = Bench.commandLine(new Bench());
    command.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    return command.execute(arguments);
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "--case no-such|no case \"no-such\"; there are demand-1-pinned",
        "--case mix-free --rounds 0|--rounds 0; 1 to 1000 are allowed",
        "--pages 12|--pages 12; 1024 to 16777216 are allowed",
        "--case mix-free --timeout 0|--timeout 0; 1 s or more is allowed",
        "--wrong|Unknown option: '--wrong'",
      })
  void badInputIsNamedAndNothingIsRun(String words, String complaint) {
    int code = run(words.split(" "));

    assertThat(code).isEqualTo(CommandLine.ExitCode.USAGE);
    assertThat(err.toString())
        .startsWith("testbed/bench: " + complaint)
        .contains("testbed/bench --help");
    assertThat(out.toString()).isEmpty();
  }

  @Test
  void theListNamesEveryCaseOnce() {
    int code = run("--list");

    assertThat(code).isZero();
    assertThat(out.toString().lines().map(line -> line.split(" ")[0]))
        .hasSameSizeAs(BenchCase.all(4096))
        .doesNotHaveDuplicates()
        .contains("demand-16-free", "stream-half-zero", "poison-map-1000000", "mix-free");
  }

  @Test
  void aRoundThatBringsAWrongByteFailsTheBenchmark() {
    Bench bench = new Bench(List.of(new WrongByte()));
    CommandLine command = Bench.commandLine(bench);
    command.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));

    int code = command.execute("--case", "stream-data", "--pages", "1024", "--rounds", "2");

    assertThat(code).isEqualTo(1);
    assertThat(err.toString())
        .isEqualToIgnoringNewLines(
            "testbed/bench: stream-data, round 1, careless: 1 healthy pages are wrong");
  }

  private record WrongByte() implements BenchSide {

    @Override
    public String name() {
      return "careless";
    }

    @Override
    public boolean takesPart(BenchCase.Kind kind) {
      return true;
    }

    @Override
    public BenchRound run(BenchGround ground) throws IOException {
      throw new IOException("1 healthy pages are wrong");
    }
  }

  @Test
  void theHelpTellsTheExitCodes() {
    assertThat(Bench.commandLine(new Bench()).getUsageMessage())
        .contains("Exit codes:", "a byte or a marker was wrong");
  }
}
