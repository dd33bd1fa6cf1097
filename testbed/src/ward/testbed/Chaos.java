package ward.testbed;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.stream.Stream;
import jnr.posix.POSIXFactory;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;
import ward.testbed.lab.DirectoryTree;

/** The command {@code testbed/chaos}. */
@Command(
    name = "testbed/chaos",
    description = {
      "Migrates guests between real ward processes while everything goes wrong that a seed draws:"
          + " connections that break, stall, damage bytes and overtake each other, daemons that"
          + " stand still or are killed, disks that are full, clocks that jump, pages that are lost"
          + " or given back in the middle.",
      "After every run each page of the guest is compared from outside, each marker looked at, and"
          + " the guest says whether its own work went on unbroken."
    },
    mixinStandardHelpOptions = true,
    sortOptions = false,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:in every run nothing was lost",
      "1:in some run something was not as it should be; the lines say what, and how to repeat it",
      "2:wrong usage",
      "4:this host cannot do it"
    })
final class Chaos implements Callable<Integer> {

  private static final int FAILED = 1;
  private static final int HOST_REFUSED = 4;
  private static final long RUNS_MAX = 10_000_000;
  private static final long MAKING_NANOS_MAX = 10_000_000_000L;
  private static final int JOBS_MAX = 256;
  private static final long PROGRESS_EVERY_NANOS = 10_000_000_000L;

  @Option(
      names = "--runs",
      paramLabel = "N",
      defaultValue = "20",
      description = "How many migrations (default: ${DEFAULT-VALUE}).")
  long runs;

  @Option(
      names = "--seed",
      paramLabel = "S",
      defaultValue = "1",
      description = "Draws all runs (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--run",
      paramLabel = "K",
      defaultValue = "-1",
      description = "Only run K of the seed's, from 0: to repeat one that failed.")
  long only;

  @Option(
      names = "--minutes",
      paramLabel = "M",
      defaultValue = "0",
      description = "Begin no run after so many minutes; 0: no limit (default).")
  double minutes;

  @Option(
      names = "--jobs",
      paramLabel = "J",
      defaultValue = "0",
      description = "Runs side by side; 0: as many as there are processors (default).")
  int jobs;

  @Option(
      names = "--faults",
      paramLabel = "KIND",
      split = ",",
      description =
          "Draw from these kinds of faults only: ${COMPLETION-CANDIDATES} (default: from all).")
  List<ChaosFaultKind> faults = List.of();

  @Option(
      names = "--guests",
      paramLabel = "KIND",
      split = ",",
      description =
          "Draw from these guests only: ${COMPLETION-CANDIDATES} (default: from all that can run"
              + " here). A guest that is HELD consists of threads in a process that owns the memory.")
  List<ChaosPlan.Mover> guests = List.of();

  @Option(
      names = "--logs",
      paramLabel = "DIR",
      description =
          "Where failed runs leave their logs and ledgers, a directory each (default: a new one in"
              + " the directory for temporary files).")
  Path logs;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the summary there as JSON.")
  Path json;

  @Option(names = "--plan", description = "Print each run's plan before it begins.")
  boolean showPlan;

  @Spec CommandSpec spec;

  private final ChaosTally tally = new ChaosTally();
  private final AtomicLong next = new AtomicLong();
  private final long startNanos = System.nanoTime();
  private long lastProgressNanos = startNanos;
  private final Set<ChaosRun> open = ConcurrentHashMap.newKeySet();
  private final AtomicInteger making = new AtomicInteger();
  private volatile boolean isEnding;
  private volatile boolean isOver;
  private Set<ChaosPlan.Mover> movers;
  private Set<ChaosFaultKind> kinds;

  public static void main(String[] arguments) {
    CommandLine command = new CommandLine(new Chaos());
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setParameterExceptionHandler(Chaos::misused);
    System.exit(command.execute(arguments));
  }

  private static int misused(ParameterException misuse, String[] arguments) {
    System.err.printf(
        "testbed/chaos: %s (`testbed/chaos --help` lists the options)%n", misuse.getMessage());
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() throws IOException {
    requireAllowed("--runs", runs, 1, RUNS_MAX);
    requireAllowed("--run", only, -1, RUNS_MAX);
    requireAllowed("--jobs", jobs, 0, JOBS_MAX);
    requireAllowed("--minutes", (long) Math.ceil(minutes), 0, RUNS_MAX);
    kinds = kinds();
    movers = movers();
    Runtime.getRuntime().addShutdownHook(new Thread(this::endAll, "chaos-end"));
    Path archives = Files.createTempDirectory("ward-chaos-classes-");
    try {
      return runAll(archives);
    } finally {
      DirectoryTree.delete(archives);
    }
  }

  private void requireAllowed(String option, long value, long least, long most) {
    if (value < least || value > most) {
      throw new ParameterException(
          spec.commandLine(), "%s %d; %d to %d are allowed".formatted(option, value, least, most));
    }
  }

  /** Only root may mount a small disk. */
  private Set<ChaosFaultKind> kinds() {
    Set<ChaosFaultKind> possible = EnumSet.allOf(ChaosFaultKind.class);
    possible.removeIf(kind -> kind.needsRoot() && !isRoot());
    return chosen("--faults", faults, possible, "root");
  }

  /** A memory's owner is looked into by root only. */
  private Set<ChaosPlan.Mover> movers() {
    boolean kvm = Files.isWritable(Path.of("/dev/kvm"));
    Set<ChaosPlan.Mover> possible = EnumSet.allOf(ChaosPlan.Mover.class);
    possible.removeIf(guest -> guest.isVirtualMachine() && !kvm);
    possible.removeIf(guest -> guest == ChaosPlan.Mover.HELD && !isRoot());
    return chosen("--guests", guests, possible, "/dev/kvm, or root for HELD");
  }

  private static boolean isRoot() {
    return POSIXFactory.getPOSIX().geteuid() == 0;
  }

  private <T extends Enum<T>> Set<T> chosen(
      String option, List<T> wanted, Set<T> possible, String need) {
    if (!possible.containsAll(wanted)) {
      throw new ParameterException(
          spec.commandLine(),
          "%s %s; only %s are possible here, the others need %s"
              .formatted(option, wanted, possible, need));
    }
    return wanted.isEmpty() ? possible : EnumSet.copyOf(wanted);
  }

  private int runAll(Path archives) throws IOException {
    if (guests.isEmpty() && movers.stream().noneMatch(ChaosPlan.Mover::isVirtualMachine)) {
      System.err.println("no KVM here: threads take the guests' place");
    }
    ChaosMeans making = new ChaosMeans(archives, true, SteppedClock.built());
    ChaosResult first = warmUp(making);
    if (!first.passed()) {
      System.err.println(
          "not even an undisturbed migration succeeds here:\n"
              + String.join("\n", first.failures()));
      return HOST_REFUSED;
    }
    runSideBySide(making.using());
    if (isEnding) {
      return FAILED; // the signal's thread reports
    }
    isOver = true;
    return report().failedRuns().isEmpty() ? 0 : FAILED;
  }

  private ChaosTally.Summary report() throws IOException {
    ChaosTally.Summary summary = tally.summary(seed, seconds());
    System.out.println(ChaosTally.text(summary));
    if (json != null) {
      ObjectMapper mapper = new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT);
      Files.writeString(json, mapper.writeValueAsString(summary) + System.lineSeparator());
    }
    return summary;
  }

  /** Nothing goes wrong in it, and it leaves the archives of classes behind. */
  private ChaosResult warmUp(ChaosMeans making) throws IOException {
    ChaosPlan plan = ChaosPlan.draw(seed, Set.of(), movers);
    try (ChaosRun run = new ChaosRun(plan, making)) {
      return run.run(-1);
    }
  }

  /** For SIGINT and SIGTERM: no daemon, directory or mount outlives this process. */
  private void endAll() {
    if (isOver) {
      return;
    }
    isEnding = true;
    awaitMade();
    closeAll();
    try {
      report();
    } catch (IOException e) {
      System.err.println("no summary: " + e);
    }
  }

  /** A run that is being made has a directory already, and perhaps a mount. */
  private void awaitMade() {
    long deadline = System.nanoTime() + MAKING_NANOS_MAX;
    while (making.get() > 0 && System.nanoTime() < deadline) {
      Thread.onSpinWait();
    }
  }

  private void closeAll() {
    for (ChaosRun run : open) {
      try {
        run.close();
      } catch (IOException e) {
        System.err.println("not cleaned up: " + e);
      }
    }
  }

  private void runSideBySide(ChaosMeans means) throws IOException {
    int threads = jobs > 0 ? jobs : Runtime.getRuntime().availableProcessors();
    ExecutorService pool = Executors.newFixedThreadPool(threads);
    try {
      List<Future<?>> all =
          Stream.<Runnable>generate(() -> () -> runMore(means))
              .limit(threads)
              .<Future<?>>map(pool::submit)
              .toList();
      for (Future<?> one : all) {
        one.get();
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    } catch (ExecutionException e) {
      throw new IOException(e.getCause());
    } finally {
      pool.shutdownNow();
    }
  }

  private void runMore(ChaosMeans means) {
    if (only >= 0) {
      if (next.getAndIncrement() == 0) {
        runOne(only, means);
      }
      return;
    }
    for (long index = next.getAndIncrement(); mayBegin(index); index = next.getAndIncrement()) {
      runOne(index, means);
    }
  }

  private boolean mayBegin(long index) {
    return !isEnding && index < runs && (minutes <= 0 || seconds() < minutes * 60);
  }

  private double seconds() {
    return (System.nanoTime() - startNanos) / 1e9;
  }

  private void runOne(long index, ChaosMeans means) {
    ChaosPlan plan = ChaosPlan.draw(seedOf(seed, index), kinds, movers);
    if (showPlan) {
      System.err.printf("run %d: %s", index, plan.describe());
    }
    try (ChaosRun run = make(plan, means)) {
      ChaosResult result = run.run(index);
      open.remove(run);
      if (isEnding) {
        return;
      }
      tally.add(result);
      if (!result.passed()) {
        explain(run, result);
      }
      showProgress();
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private ChaosRun make(ChaosPlan plan, ChaosMeans means) throws IOException {
    making.incrementAndGet();
    try {
      ChaosRun run = new ChaosRun(plan, means);
      open.add(run);
      return run;
    } finally {
      making.decrementAndGet();
    }
  }

  /** Far from each other for neighbours, and the same for ever. */
  static long seedOf(long seed, long index) {
    return new java.util.SplittableRandom(seed * 1_000_000_007L + index).nextLong() >>> 1;
  }

  private synchronized void explain(ChaosRun run, ChaosResult result) throws IOException {
    if (logs == null) {
      logs = Files.createTempDirectory("ward-chaos-");
    }
    Path kept =
        Files.createDirectories(logs.resolve("seed-%d-run-%d".formatted(seed, result.index())));
    String words =
        "run %d FAILED:%n  %s%nrepeat it with%n  %s%n"
            .formatted(
                result.index(),
                String.join(System.lineSeparator() + "  ", result.failures()),
                repeat(result.index()));
    run.keepEvidence(kept, words);
    System.err.printf("%slogs and ledgers are in %s%n", words, kept);
  }

  private String repeat(long index) {
    return "testbed/chaos --seed %d --run %d%s%s"
        .formatted(seed, index, subset("--faults", faults), subset("--guests", guests));
  }

  private static String subset(String option, List<? extends Enum<?>> names) {
    return names.isEmpty()
        ? ""
        : " %s %s".formatted(option, String.join(",", names.stream().map(Enum::name).toList()));
  }

  private synchronized void showProgress() {
    if (System.nanoTime() - lastProgressNanos > PROGRESS_EVERY_NANOS) {
      lastProgressNanos = System.nanoTime();
      ChaosTally.Summary now = tally.summary(seed, seconds());
      System.err.printf(
          "%s: %d runs, %d failed, %d breaks survived, %.2f s a run%n",
          Duration.ofSeconds((long) now.seconds()),
          now.runs(),
          now.failedRuns().size(),
          now.breaksSurvived(),
          now.seconds() / Math.max(1, now.runs()));
    }
  }
}
