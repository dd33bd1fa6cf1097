package ward.cli;

import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.function.Supplier;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.uffd.PoisonMarkers;

/** {@code ward check}. */
@Command(
    name = "check",
    description =
        "Says what this host can do: be a source, a destination, run guests by KVM. Ends with 0 if"
            + " it can be source and destination, KVM or not.")
final class CheckCommand implements Callable<Integer> {

  @Option(names = "--json", description = "As one JSON object.")
  boolean json;

  @Spec CommandSpec spec;

  private final HostFiles files;
  private final Supplier<Kernel> kernel;

  CheckCommand() {
    this(HostFiles.ofThisHost(), NativeKernel::load);
  }

  /**
   * @param kernel loads the stub library, and may fail to
   */
  CheckCommand(HostFiles files, Supplier<Kernel> kernel) {
    this.files = files;
    this.kernel = kernel;
  }

  @Override
  public Integer call() {
    HostReport report = HostReport.of(checks());
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(report.shown()));
    } else {
      report.findings().forEach(finding -> out.println(finding.line(report.nameWidth())));
      report.verdicts().forEach(out::println);
    }
    return report.exitCode().code();
  }

  private List<HostCheck> checks() {
    List<HostCheck> checks = new ArrayList<>();
    checks.add(new SystemCheck(files));
    try {
      Kernel loaded = kernel.get();
      checks.add(() -> List.of(ok("stub library", "loads")));
      checks.add(new UserfaultfdCheck(loaded));
      checks.add(new MarkerCheck(new PoisonMarkers(loaded)));
      checks.add(new PoisonCheck(loaded));
      checks.add(new KvmCheck(loaded, System.getProperty("os.arch")));
    } catch (IllegalStateException | LinkageError e) {
      checks.add(() -> List.of(notLoaded(e)));
    }
    return checks;
  }

  // The first use of a class that cannot be initialized hides the reason in a cause.
  private static HostFinding notLoaded(Throwable e) {
    Throwable reason = e.getCause() == null ? e : e.getCause();
    return missing(
        "stub library",
        String.valueOf(reason.getMessage()),
        "nothing that needs the kernel was checked; make libward.so load first",
        HostRole.SOURCE,
        HostRole.DESTINATION,
        HostRole.KVM);
  }
}
