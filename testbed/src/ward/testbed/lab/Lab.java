package ward.testbed.lab;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;

/** The command {@code testbed/lab}. */
@Command(
    name = "testbed/lab",
    description =
        "Boots a whole emulated machine on a Debian kernel, with nested paging, real memory failure"
            + " and its own KVM, and runs Ward's tests or scenarios in it. Fetches what it needs as"
            + " Debian packages, installs nothing, and needs no right of root.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    exitCodeListHeading = "%nExit codes (otherwise that of what ran inside):%n",
    exitCodeList = {
      "0:everything passed",
      "1:a test failed, or no test ran",
      "2:wrong usage",
      "3:no machine could be started: Ward does not build for it, or the disk is full",
      "4:the packages or a program cannot be had; stderr says which",
      "124:the deadline passed; the console's tail is on stderr",
      "125:the kernel panicked or the emulator died; likewise"
    })
final class Lab implements Callable<Integer> {

  private static final int NOT_STARTED = 3;
  private static final int UNAVAILABLE = 4;

  @Parameters(index = "0", paramLabel = "x86|arm64", description = "The machine.")
  Architecture architecture;

  @Option(
      names = "--test",
      paramLabel = "CLASS[#METHOD]",
      split = ",",
      description = "Test classes to run inside, by full or simple name.")
  List<String> tests = List.of();

  @Option(names = "--run", paramLabel = "CLASS", description = "A main class to run inside.")
  String main;

  @Parameters(index = "1..*", paramLabel = "ARGUMENT", description = "The main class's arguments.")
  List<String> arguments = List.of();

  @Option(
      names = "--kernel",
      paramLabel = "SUITE[/VERSION][/generic]",
      defaultValue = "trixie-backports",
      description =
          "The newest kernel of a Debian suite, or the newest whose version begins so; the cloud"
              + " kernel, or the generic one, which is larger (default: ${DEFAULT-VALUE}).")
  String kernel;

  @Option(
      names = "--cpu",
      paramLabel = "MODEL",
      description =
          "QEMU's name of the processor (default: EPYC-v1,-cx16 or neoverse-n1). On arm64 cortex-a72"
              + " is one without VHE and without RAS.")
  String cpu;

  @Option(
      names = "--memory",
      paramLabel = "MIB",
      defaultValue = "1536",
      description = "The machine's memory (default: ${DEFAULT-VALUE}); 512 hold the programs.")
  int memoryMebibytes;

  @Option(
      names = "--smp",
      paramLabel = "N",
      description =
          "The machine's processors (default: 1 for x86, 2 for arm64). With more than one, QEMU now"
              + " and then runs x86 code that Linux has just changed, and Linux panics.")
  Integer processors;

  @Option(
      names = "--hosts",
      paramLabel = "1|2",
      defaultValue = "1",
      description =
          "Two machines with a network between them: what runs, runs on both, and the environment's"
              + " WARD_HOST is 1 on 10.83.0.1 and 2 on 10.83.0.2 (default: ${DEFAULT-VALUE}).")
  int hosts;

  @Option(
      names = "--deadline",
      paramLabel = "SECONDS",
      defaultValue = "1800",
      description = "End the machine after that long (default: ${DEFAULT-VALUE}).")
  long deadlineSeconds;

  @Option(
      names = "--cache",
      paramLabel = "DIRECTORY",
      description =
          "Keeps packages between runs (default: ward/lab in $$XDG_CACHE_HOME or ~/.cache).")
  Path cache = PackageCache.defaultRoot();

  @Option(names = "--refresh", description = "Ask the mirror for newer packages even today.")
  boolean refresh;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the result there as JSON.")
  Path json;

  @Option(
      names = "--print-kernel",
      description = "Only fetch the kernel, and print where its image is.")
  boolean printKernel;

  @Option(names = "--quiet", description = "Do not show the machine's console.")
  boolean quiet;

  @Spec CommandSpec spec;

  public static void main(String[] arguments) {
    System.exit(commandLine(new Lab()).execute(arguments));
  }

  static CommandLine commandLine(Lab lab) {
    CommandLine command = new CommandLine(lab);
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setStopAtPositional(false);
    command.setParameterExceptionHandler(Lab::misused);
    return command;
  }

  private static int misused(ParameterException misuse, String[] arguments) {
    System.err.printf(
        "testbed/lab: %s (`testbed/lab --help` lists the options)%n", misuse.getMessage());
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() throws IOException {
    LabSettings settings = settings();
    List<LabResult> results;
    try {
      LabRun run =
          new LabRun(settings, System.err::println, quiet ? line -> {} : System.out::println);
      if (printKernel) {
        System.out.println(run.kernelImage());
        return CommandLine.ExitCode.OK;
      }
      results = run.run(directory());
    } catch (LabUnavailableException e) {
      System.err.printf(
          "testbed/lab: THE LAB CANNOT BE HAD, NOTHING WAS TESTED: %s%n", e.getMessage());
      return UNAVAILABLE;
    } catch (IOException e) {
      System.err.printf("testbed/lab: %s%n", e.getMessage());
      return NOT_STARTED;
    }
    results.forEach(this::print);
    if (json != null) {
      Files.writeString(json, json(results));
    }
    // The worst: whatever was lost outweighs what merely failed.
    return results.stream().mapToInt(LabResult::exitCode).max().orElseThrow();
  }

  private void print(LabResult result) {
    System.out.printf(
        "testbed/lab %s, Linux %s: %s, exit code %d, %.1f s%n",
        architecture.name().toLowerCase(Locale.ROOT),
        result.kernel(),
        result.end(),
        result.exitCode(),
        result.wallSeconds());
  }

  LabSettings settings() {
    return new LabSettings(
        architecture,
        KernelChoice.parse(kernel),
        cpu == null ? architecture.defaultCpu() : cpu,
        memoryMebibytes,
        processors == null ? architecture.defaultProcessors() : processors,
        hosts,
        steps(),
        Duration.ofSeconds(deadlineSeconds),
        cache.toAbsolutePath(),
        refresh);
  }

  private List<LabSettings.Step> steps() {
    TestClasses known = new TestClasses(LabFiles.testClasses());
    List<LabSettings.Step> steps = new ArrayList<>();
    try {
      if (hosts < 1 || hosts > 2) {
        throw new IllegalArgumentException("--hosts %d: there may be 1 or 2".formatted(hosts));
      }
      if (!tests.isEmpty()) {
        steps.add(LabSettings.Step.tests(known.named(tests)));
      }
      if (main != null) {
        steps.add(new LabSettings.Step(main, arguments));
      }
      if (steps.isEmpty()) {
        steps.addAll(
            hosts == 1 ? LabSettings.Step.ofOneHost(known) : LabSettings.Step.ofTwoHosts());
      }
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage());
    }
    return steps;
  }

  /** A new one for each run. */
  private Path directory() {
    return LabFiles.runs()
        .resolve(
            "%s-%s-%d"
                .formatted(
                    architecture.debianName(),
                    Instant.now().toString().replaceAll("[-:]|\\..*", ""),
                    ProcessHandle.current().pid()));
  }

  /** Of one host as it is, of several a list. */
  private static String json(List<LabResult> results) throws IOException {
    return new ObjectMapper()
            .enable(SerializationFeature.INDENT_OUTPUT)
            .writeValueAsString(results.size() == 1 ? results.get(0) : results)
        + System.lineSeparator();
  }
}
