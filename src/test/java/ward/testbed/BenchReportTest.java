package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.zip.GZIPInputStream;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.xml.sax.InputSource;

class BenchReportTest {

  private static final ObjectMapper JSON = new ObjectMapper();

  @TempDir private Path directory;

  @Test
  void aLineSaysWhereItComesFromAndHoldsEveryRound() throws Exception {
    String text =
        BenchReport.line(
            BenchFixture.demand(), BenchFixture.HOST, BenchFixture.START, List.of("samples/a"));

    assertThat(text).doesNotContain("\n").doesNotContain("NaN");
    JsonNode line = JSON.readTree(text);
    assertThat(line.get("case").asText()).isEqualTo("demand-1-pinned");
    assertThat(line.get("commit").asText()).isEqualTo("1234abcd");
    assertThat(line.get("dirty").asBoolean()).isTrue();
    assertThat(line.at("/host/kernel").asText()).isEqualTo("6.6");
    assertThat(line.at("/settings/guestBytes").asLong()).isEqualTo(4096L << 12);
    assertThat(line.at("/sides/ward/p50Micros/median").asDouble()).isEqualTo(12);
    assertThat(line.at("/sides/ward/p50Micros/rounds")).hasSize(3);
    assertThat(line.at("/wardByYardstick/p50Micros").asDouble()).isEqualTo(1.5);
    assertThat(line.at("/samples/0").asText()).isEqualTo("samples/a");
  }

  @Test
  void whatWasNotMeasuredIsNull() throws Exception {
    BenchResult result = new BenchResult(BenchCase.demand(1, true, 4096));
    result.add("sleeping", BenchFixture.round(10));

    JsonNode line =
        JSON.readTree(BenchReport.line(result, BenchFixture.HOST, BenchFixture.START, List.of()));

    assertThat(line.at("/wardByYardstick/p50Micros").isNull()).isTrue();
  }

  @Test
  void everyTouchOfARoundIsKeptAndNamedByItsCase() throws Exception {
    BenchReport report = new BenchReport(directory, BenchFixture.HOST, BenchFixture.START);
    BenchResult result = BenchFixture.demand();

    report.keep(result.of(), 1, "ward", BenchFixture.round(12));
    report.add(result);

    String line = Files.readString(directory.resolve("results.jsonl"));
    String samples = JSON.readTree(line).at("/samples/0").asText();
    assertThat(samples).isEqualTo("samples/demand-1-pinned-1-ward.csv.gz");
    try (BufferedReader reader =
        new BufferedReader(
            new InputStreamReader(
                new GZIPInputStream(Files.newInputStream(directory.resolve(samples)))))) {
      assertThat(reader.lines())
          .startsWith("began_nanos,waited_nanos,lost", "0,12000,0", "1000000,12000,0")
          .hasSize(9);
    }
  }

  @Test
  void thePageIsWellFormedNeedsNothingElseAndShowsEverySide() throws Exception {
    String page =
        BenchPage.of(
            BenchFixture.HOST,
            BenchFixture.START,
            List.of(BenchFixture.demand(), BenchFixture.stream()));

    String markup = page.replace("<!DOCTYPE html>", "").replace("<meta charset=\"utf-8\">", "");
    assertThat(
            DocumentBuilderFactory.newInstance()
                .newDocumentBuilder()
                .parse(new InputSource(new StringReader(markup)))
                .getElementsByTagName("polyline")
                .getLength())
        .isEqualTo(3);
    assertThat(page)
        .contains("A &lt;fast&gt; CPU", "demand-1-pinned", "stream-data", ">spinning<", ">receive<")
        .doesNotContain("http", "src=", "url(", "NaN");
  }
}
