package ward.testbed;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command {@code testbed/bench}. */
@Command(
    name = "testbed/bench",
    description = {
      "Measures how long a guest waits for its pages, how fast the rest arrives and how fast its"
          + " poison does: Ward and a bare pair in C (testbed/bench.d), which asks and waits asleep"
          + " or spinning, in turn in the same run. Prints medians, and Ward's by those of the better"
          + " yardstick.",
      "Every byte and every marker of every round is compared from outside. Figures of a machine that"
          + " does anything else meanwhile mean little, ratios a little more."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:all was measured, and every byte and marker was right; it says nothing of the figures",
      "1:a byte or a marker was wrong, or a round could not be run; stderr says which",
      "2:wrong usage"
    })
final class Bench implements Callable<Integer> {

  private static final int FAILED = 1;
  private static final int PAGES = 131_072;
  private static final int PAGES_QUICK = 32_768;
  private static final int REHEARSAL_PAGES_QUICK = 2048;
  private static final int ROUNDS_MAX = 1000;

  @Option(
      names = "--case",
      paramLabel = "NAME",
      split = ",",
      description = "Only these; --list names them (default: all).")
  List<String> names = List.of();

  @Option(names = "--list", description = "Only say what there is to measure.")
  boolean list;

  @Option(
      names = "--rounds",
      paramLabel = "N",
      description = "How often each side takes its turn (default: 3, with --quick 1).")
  Integer rounds;

  @Option(
      names = "--quick",
      description =
          "One round, guests of a quarter of the size, and daemons that rehearse 2048 pages only: a"
              + " look, not a measurement.")
  boolean quick;

  @Option(
      names = "--pages",
      paramLabel = "N",
      description =
          "Pages of a guest whose pages hold data (default: 131072, which is 512 MiB; with --quick"
              + " 32768); a quarter of that where only faults are measured. It needs twice that in"
              + " memory.")
  Integer pages;

  @Option(
      names = "--results",
      paramLabel = "DIR",
      description =
          "Write results.jsonl, results.html and all samples there; made if it is not there.")
  Path results;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "7",
      description = "Draws content, order and poison (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "600",
      description = "Give a round up after that long (default: ${DEFAULT-VALUE}).")
  long timeoutSeconds;

  @Spec CommandSpec spec;

  private final List<BenchSide> others;

  Bench() {
    this(List.of());
  }

  /**
   * @param others in the order of their turns, in place of Ward and the yardstick; none: those
   */
  Bench(List<BenchSide> others) {
    this.others = others;
  }

  private List<BenchSide> sides() {
    OptionalInt rehearsalPages =
        quick ? OptionalInt.of(REHEARSAL_PAGES_QUICK) : OptionalInt.empty();
    return others.isEmpty()
        ? List.of(
            new YardstickSide("sleeping"),
            new YardstickSide("spinning"),
            new ReceiveSide(),
            new WardSide(rehearsalPages))
        : others;
  }

  public static void main(String[] arguments) {
    System.exit(commandLine(new Bench()).execute(arguments));
  }

  static CommandLine commandLine(Bench bench) {
    return new CommandLine(bench).setParameterExceptionHandler(Bench::misused);
  }

  private static int misused(ParameterException misuse, String[] arguments) {
    misuse
        .getCommandLine()
        .getErr()
        .printf(
            "testbed/bench: %s (`testbed/bench --help` lists the options)%n", misuse.getMessage());
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() {
    List<BenchCase> cases = chosen();
    if (list) {
      cases.forEach(one -> out("%-26s %s%n", one.name(), one.question()));
      return CommandLine.ExitCode.OK;
    }
    try {
      measure(cases);
      return CommandLine.ExitCode.OK;
    } catch (IOException e) {
      spec.commandLine().getErr().printf("testbed/bench: %s%n", e.getMessage());
      return FAILED;
    }
  }

  private void out(String format, Object... values) {
    spec.commandLine().getOut().printf(format, values);
    spec.commandLine().getOut().flush();
  }

  private List<BenchCase> chosen() {
    List<BenchCase> all = BenchCase.all(guestPages());
    return names.isEmpty() ? all : names.stream().map(name -> named(name, all)).toList();
  }

  private BenchCase named(String name, List<BenchCase> all) {
    return BenchCase.named(name, all)
        .orElseThrow(
            () ->
                misuse(
                    "no case \"%s\"; there are %s"
                        .formatted(
                            name,
                            all.stream().map(BenchCase::name).collect(Collectors.joining(", ")))));
  }

  private int guestPages() {
    int least = 1024;
    int most = 1 << 24;
    int chosen = Optional.ofNullable(pages).orElse(quick ? PAGES_QUICK : PAGES);
    if (chosen < least || chosen > most) {
      throw misuse("--pages %d; %d to %d are allowed".formatted(chosen, least, most));
    }
    return chosen;
  }

  private int roundCount() {
    int chosen = Optional.ofNullable(rounds).orElse(quick ? 1 : 3);
    if (chosen < 1 || chosen > ROUNDS_MAX) {
      throw misuse("--rounds %d; 1 to %d are allowed".formatted(chosen, ROUNDS_MAX));
    }
    return chosen;
  }

  private Duration limit() {
    if (timeoutSeconds < 1) {
      throw misuse("--timeout %d; 1 s or more is allowed".formatted(timeoutSeconds));
    }
    return Duration.ofSeconds(timeoutSeconds);
  }

  private ParameterException misuse(String text) {
    return new ParameterException(spec.commandLine(), text);
  }

  private void measure(List<BenchCase> cases) throws IOException {
    int turns = roundCount();
    Duration limit = limit();
    BenchHost host = BenchHost.here();
    BenchReport report = results == null ? null : new BenchReport(results, host, Instant.now());
    long begin = System.nanoTime();
    out("%s, %d CPUs, Linux %s, %s%n%n", host.cpu(), host.cpus(), host.kernel(), host.jdk());
    for (BenchCase one : cases) {
      try (BenchHugePages huge = BenchHugePages.reserve(one.hugePages())) {
        Optional<String> obstacle = obstacle(one).or(huge::shortage);
        if (obstacle.isPresent()) {
          out("%s: not measured; %s%n%n", one.name(), obstacle.get());
        } else {
          show(measured(one, turns, limit, report), report);
        }
      }
    }
    Duration took = Duration.ofNanos(System.nanoTime() - begin);
    out("%d cases in %d:%02d min%n", cases.size(), took.toMinutes(), took.toSecondsPart());
  }

  private BenchResult measured(BenchCase one, int turns, Duration limit, BenchReport report)
      throws IOException {
    if (one.hugePages() > 0) {
      YardstickProcess.warm(one.bytes(), one.memory());
    }
    return one.kind() == BenchCase.Kind.PAGE_TABLE
        ? new PageTableBench(one).run(turns)
        : new BenchRun(one, sides(), seed, limit).run(turns, report);
  }

  private void show(BenchResult result, BenchReport report) throws IOException {
    out("%s%n", BenchTable.of(result));
    if (report != null) {
      report.add(result);
    }
  }

  /** Why a case cannot be measured here. */
  private static Optional<String> obstacle(BenchCase one) {
    return one.toucher() == BenchCase.Toucher.VCPUS && !canRunGuests()
        ? Optional.of("this host runs no x86-64 guest by /dev/kvm")
        : Optional.empty();
  }

  private static boolean canRunGuests() {
    return System.getProperty("os.arch").equals("amd64")
        && Files.isReadable(Path.of("/dev/kvm"))
        && Files.isWritable(Path.of("/dev/kvm"));
  }
}
