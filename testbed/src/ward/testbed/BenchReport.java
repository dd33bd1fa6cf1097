package ward.testbed;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedWriter;
import java.io.IOException;
import java.io.OutputStream;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.zip.Deflater;
import java.util.zip.GZIPOutputStream;
import ward.vcpu.TouchPlan.Touch;

/**
 * A directory of results: {@code results.jsonl} with a line for each case, {@code results.html},
 * and every sample of every round in {@code samples/CASE-ROUND-SIDE.csv.gz}.
 */
final class BenchReport {

  private static final ObjectMapper JSON = new ObjectMapper();

  private final Path directory;
  private final BenchHost host;
  private final Instant startedAt;
  private final List<String> samples = new ArrayList<>();
  private final List<BenchResult> results = new ArrayList<>();

  /**
   * @param directory made if it is not there; lines are added to what it holds
   */
  BenchReport(Path directory, BenchHost host, Instant startedAt) throws IOException {
    this.directory = directory;
    this.host = host;
    this.startedAt = startedAt;
    Files.createDirectories(directory.resolve("samples"));
  }

  /** Keeps every touch: when it began, how long it waited, whether SIGBUS ended it. */
  void keep(BenchCase of, int round, String side, BenchRound what) throws IOException {
    if (what.touches().length == 0) {
      return;
    }
    String name = "samples/%s-%d-%s.csv.gz".formatted(of.name(), round, side);
    try (BufferedWriter out =
        new BufferedWriter(
            new OutputStreamWriter(
                new Compressed(Files.newOutputStream(directory.resolve(name))),
                StandardCharsets.US_ASCII))) {
      out.write("began_nanos,waited_nanos,lost\n");
      long start = what.touches()[0].beganNanos();
      for (Touch touch : what.touches()) {
        out.write(Long.toString(touch.beganNanos() - start));
        out.write(',');
        out.write(Long.toString(touch.waitedNanos()));
        out.write(touch.lost() ? ",1\n" : ",0\n");
      }
    }
    samples.add(name);
  }

  /** A benchmark has better things to do than to save a tenth of a file. */
  private static final class Compressed extends GZIPOutputStream {
    Compressed(OutputStream out) throws IOException {
      super(out);
      def.setLevel(Deflater.BEST_SPEED);
    }
  }

  /** Adds a case's line, and writes the page anew. */
  void add(BenchResult result) throws IOException {
    results.add(result);
    Files.writeString(
        directory.resolve("results.jsonl"),
        line(result, host, startedAt, samples) + "\n",
        StandardOpenOption.CREATE,
        StandardOpenOption.APPEND);
    samples.clear();
    Files.writeString(directory.resolve("results.html"), BenchPage.of(host, startedAt, results));
  }

  /** A case as one line of JSON that says for itself where it comes from. */
  static String line(BenchResult result, BenchHost host, Instant startedAt, List<String> samples) {
    BenchCase of = result.of();
    ObjectNode line = JSON.createObjectNode();
    line.put("case", of.name()).put("question", of.question());
    line.put("commit", host.commit()).put("dirty", host.dirty());
    line.put("startedAt", startedAt.toString());
    line.putObject("host")
        .put("cpu", host.cpu())
        .put("cpus", host.cpus())
        .put("kernel", host.kernel())
        .put("jdk", host.jdk());
    line.putObject("settings")
        .put("guestBytes", of.bytes())
        .put("threads", of.threads())
        .put("streams", of.streams())
        .put("pinned", of.cpu().isPresent())
        .put("memory", of.memory().word())
        .put("zeroPercent", of.zeroPercent())
        .put("lostPages", of.lostPages());
    line.put("rounds", result.rounds());
    addFigures(line, result);
    samples.forEach(line.putArray("samples")::add);
    return print(line);
  }

  private static void addFigures(ObjectNode line, BenchResult result) {
    List<BenchFigure> figures = BenchFigure.of(result.of());
    ObjectNode sides = line.putObject("sides");
    for (String side : result.sides()) {
      ObjectNode of = sides.putObject(side);
      for (int i = 0; i < figures.size(); i++) {
        ObjectNode figure = of.putObject(figures.get(i).name());
        putNumber(figure, "median", result.median(side, i));
        ArrayNode rounds = figure.putArray("rounds");
        Arrays.stream(result.values(side, i)).filter(Double::isFinite).forEach(rounds::add);
      }
    }
    ObjectNode ratios = line.putObject("wardByYardstick");
    for (int i = 0; i < figures.size(); i++) {
      putNumber(ratios, figures.get(i).name(), result.ratio(i));
    }
  }

  /** JSON knows no NaN: what was not measured is null. */
  private static void putNumber(ObjectNode to, String name, double value) {
    if (Double.isFinite(value)) {
      to.put(name, value);
    } else {
      to.putNull(name);
    }
  }

  private static String print(ObjectNode line) {
    try {
      return JSON.writeValueAsString(line);
    } catch (JsonProcessingException e) {
      throw new IllegalStateException(e);
    }
  }
}
