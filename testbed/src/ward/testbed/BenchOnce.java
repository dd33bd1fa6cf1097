package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.file.Files;
import java.nio.file.Path;
import picocli.CommandLine;

/** The command {@code testbed/bench} for one case, one round, and a guest of 4 MiB. */
final class BenchOnce {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final Path results;
  private final String name;

  BenchOnce(Path results, String name) {
    this.results = results;
    this.name = name;
  }

  /** The line that it left, when every byte and marker was right. */
  JsonNode line() throws IOException {
    CommandLine command = Bench.commandLine(new Bench());
    command.setOut(new PrintWriter(out)).setErr(new PrintWriter(err));
    int code =
        command.execute(
            "--case", name, "--pages", "1024", "--rounds", "1", "--results", results.toString());
    assertThat(code).as(err.toString()).isZero();
    return new ObjectMapper().readTree(Files.readString(results.resolve("results.jsonl")));
  }

  /** What it said to people. */
  String output() {
    return out.toString();
  }
}
