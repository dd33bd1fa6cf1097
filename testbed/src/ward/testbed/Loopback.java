package ward.testbed;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.Spec;

/** The command {@code testbed/loopback}. */
@Command(
    name = "testbed/loopback",
    description =
        "Migrates a real guest between two ward processes on this machine, its poison with it, and"
            + " proves that every healthy page arrived and no poisoned one was healed.",
    mixinStandardHelpOptions = true,
    sortOptions = false,
    exitCodeListHeading = "%nExit codes:%n",
    exitCodeList = {
      "0:everything was proved",
      "1:something was not as it should be; the lines say what",
      "2:wrong usage"
    })
final class Loopback implements Callable<Integer> {

  private static final int FAILED = 1;

  enum Vcpu {
    KVM,
    THREAD,
    AUTO
  }

  @Option(
      names = "--memory",
      paramLabel = "SIZE",
      defaultValue = "256M",
      description =
          "The guest's memory, a multiple of 8M from 16M (default: ${DEFAULT-VALUE}). It needs twice"
              + " that.")
  MemorySize memory;

  @Option(
      names = "--vcpus",
      paramLabel = "N",
      defaultValue = "2",
      description = "vCPUs, or threads (default: ${DEFAULT-VALUE}).")
  int vcpus;

  @Option(
      names = "--poison",
      paramLabel = "N",
      defaultValue = "64",
      description =
          "Pages lost before the migration: half are declared in the ledger, half are unreadable and"
              + " known to nobody (default: ${DEFAULT-VALUE}).")
  int poison;

  @Option(
      names = "--unreadable",
      paramLabel = "N",
      defaultValue = "-1",
      description =
          "How many of them are unreadable and not declared; a kernel with neither UFFDIO_POISON nor"
              + " MADV_HWPOISON can only do 0 (default: half of them).")
  int unreadable;

  @Option(
      names = "--marker",
      paramLabel = "uffd|hwpoison|sigbus|auto",
      defaultValue = "auto",
      description =
          "How the destination marks lost pages; see `ward destination --help` (default:"
              + " ${DEFAULT-VALUE}).")
  String marker;

  @Option(
      names = "--destination-options",
      paramLabel = "WORDS",
      defaultValue = "",
      description =
          "More for `ward destination`, as '--memory memfd --collapse'; with '--memory hugetlb"
              + " --huge-loss widen' lost pages count as whole huge pages.")
  String more;

  @Option(
      names = "--late-poison",
      paramLabel = "N",
      defaultValue = "8",
      description =
          "Pages reported lost while the source already serves (default: ${DEFAULT-VALUE}).")
  int latePoison;

  @Option(
      names = "--seed",
      paramLabel = "N",
      defaultValue = "7",
      description = "Draws content, order and poison (default: ${DEFAULT-VALUE}).")
  long seed;

  @Option(
      names = "--vcpu",
      paramLabel = "kvm|thread|auto",
      defaultValue = "auto",
      description =
          "What touches the memory: a KVM guest, or native threads where none can run (default:"
              + " ${DEFAULT-VALUE}).")
  Vcpu vcpu;

  @Option(
      names = "--asleep",
      description =
          "The guest does not run at the source first: its memory and a first state are moved. Always"
              + " so where no KVM guest can run.")
  boolean asleep;

  @Option(names = "--json", paramLabel = "FILE", description = "Write the result there as JSON.")
  Path json;

  @Option(
      names = "--timeout",
      paramLabel = "SECONDS",
      defaultValue = "600",
      description =
          "Give up after that long (default: ${DEFAULT-VALUE}); at once if a daemon ends without"
              + " success.")
  long timeoutSeconds;

  @Option(
      names = "--logs",
      description = "Print all that both daemons logged; of a failure otherwise only the end.")
  boolean logs;

  @Spec CommandSpec spec;

  public static void main(String[] arguments) {
    CommandLine command = new CommandLine(new Loopback());
    command.registerConverter(MemorySize.class, MemorySize::parse);
    command.setCaseInsensitiveEnumValuesAllowed(true);
    command.setParameterExceptionHandler(Loopback::misused);
    System.exit(command.execute(arguments));
  }

  private static int misused(ParameterException misuse, String[] arguments) {
    System.err.printf(
        "testbed/loopback: %s (`testbed/loopback --help` lists the options)%n",
        misuse.getMessage());
    return CommandLine.ExitCode.USAGE;
  }

  @Override
  public Integer call() throws IOException {
    LoopbackResult result;
    try (LoopbackRun run = new LoopbackRun(settings(), System.err::println)) {
      try {
        result = run.run();
      } catch (IOException e) {
        System.err.println("testbed/loopback: " + e.getMessage());
        System.err.println(logs ? run.logs() : run.lastWords());
        return FAILED;
      }
      if (logs || !result.passed()) {
        System.err.println(logs ? run.logs() : run.lastWords());
      }
    } catch (IllegalArgumentException e) {
      throw new ParameterException(spec.commandLine(), e.getMessage());
    }
    System.out.println(result.summary());
    if (json != null) {
      Files.writeString(json, json(result));
    }
    return result.passed() ? CommandLine.ExitCode.OK : FAILED;
  }

  private LoopbackSettings settings() {
    return new LoopbackSettings(
        memory.bytes(),
        vcpus,
        poison - unreadable(),
        unreadable(),
        latePoison,
        seed,
        vcpu.name().toLowerCase(java.util.Locale.ROOT),
        marker,
        !asleep && vcpu != Vcpu.THREAD && Files.isWritable(Path.of("/dev/kvm")),
        Duration.ofSeconds(timeoutSeconds),
        more.isBlank() ? List.of() : List.of(more.strip().split(" +")));
  }

  private int unreadable() {
    return unreadable < 0 ? poison / 2 : unreadable;
  }

  private static String json(LoopbackResult result) throws IOException {
    return new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(result)
        + System.lineSeparator();
  }
}
