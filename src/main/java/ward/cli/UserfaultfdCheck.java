package ward.cli;

import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;
import static ward.cli.HostFinding.warning;
import static ward.cli.HostRole.DESTINATION;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import ward.kernel.Kernel;
import ward.uffd.Feature;
import ward.uffd.Userfaultfd;
import ward.uffd.UserfaultfdException;

/** Whether userfaultfd opens for faults of the kernel, and what it offers. */
record UserfaultfdCheck(Kernel kernel) implements HostCheck {

  @Override
  public List<HostFinding> run() {
    try {
      return offered(Userfaultfd.offeredFeatures(kernel));
    } catch (UserfaultfdException e) {
      return List.of(missing("userfaultfd", reason(e), remedy(e), DESTINATION));
    }
  }

  private static List<HostFinding> offered(long features) {
    List<HostFinding> findings = new ArrayList<>();
    findings.add(ok("userfaultfd", "opens, offers features 0x" + Long.toHexString(features)));
    Arrays.stream(Feature.values()).forEach(feature -> findings.add(finding(feature, features)));
    return findings;
  }

  private static HostFinding finding(Feature feature, long features) {
    String name = "UFFD_FEATURE_" + feature;
    String since = "since Linux " + feature.linuxVersion();
    if (feature.isIn(features)) {
      return ok(name, since);
    }
    String remedy = "Linux %s or later".formatted(feature.linuxVersion());
    return feature == Feature.POISON
        ? warning(name, "not offered: lost pages are marked in another way", remedy)
        : warning(name, "not offered", remedy);
  }

  // Where the right is missing, the exception's own text repeats the remedy; its causes do not.
  private static String reason(UserfaultfdException e) {
    if (e.kind() != UserfaultfdException.Kind.NOT_PERMITTED || e.getCause() == null) {
      return e.getMessage();
    }
    List<String> reasons = new ArrayList<>();
    for (Throwable earlier : e.getCause().getSuppressed()) {
      reasons.add(earlier.getMessage());
    }
    reasons.add(e.getCause().getMessage());
    return String.join("; ", reasons);
  }

  private static String remedy(UserfaultfdException e) {
    return switch (e.kind()) {
      case NOT_PERMITTED ->
          "run with CAP_SYS_PTRACE, or sysctl vm.unprivileged_userfaultfd=1, or allow reading and"
              + " writing /dev/userfaultfd";
      case NOT_SUPPORTED -> "run a kernel with CONFIG_USERFAULTFD=y";
      case FAILED -> "see what the system call answered";
    };
  }
}
