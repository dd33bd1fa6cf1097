package ward.cli;

import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;
import static ward.cli.HostRole.DESTINATION;
import static ward.cli.HostRole.SOURCE;

import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.Pages;
import ward.uffd.Feature;
import ward.uffd.FillResult;
import ward.uffd.MarkerKind;
import ward.uffd.PoisonMarker;
import ward.uffd.PoisonMarkers;
import ward.uffd.Userfaultfd;
import ward.uffd.UserfaultfdException;

/**
 * Loses a page of its own for good, and sees whether the kernel keeps it lost and whether it can be
 * read without being killed.
 */
record PoisonCheck(Kernel kernel) implements HostCheck {

  static final String ROUND_TRIP = "poison round trip";
  static final String COPY = "process_vm_readv";
  static final String SAFE_COPY = "process_vm_readv of poison";

  private static final int WORD = Long.BYTES;

  @Override
  public List<HostFinding> run() {
    List<HostFinding> findings = new ArrayList<>();
    findings.add(copyOfOrdinaryMemory());
    try {
      long page = kernel.mapAnonymous(Pages.SIZE_BYTES);
      try {
        findings.addAll(roundTrip(page));
      } finally {
        kernel.unmap(page, Pages.SIZE_BYTES);
      }
    } catch (KernelCallException e) {
      findings.add(notPossible(e.getMessage(), "free some memory"));
    } catch (UserfaultfdException e) {
      findings.add(notPossible(e.getMessage(), "see userfaultfd above"));
    }
    return findings;
  }

  private static HostFinding notPossible(String reason, String remedy) {
    return missing(ROUND_TRIP, "not possible: " + reason, remedy, DESTINATION);
  }

  private HostFinding copyOfOrdinaryMemory() {
    NativeMemory from = NativeMemory.allocate(WORD);
    NativeMemory to = NativeMemory.allocate(WORD);
    from.putLong(0, 0x5741_5244L);
    long answer = kernel.copy(to.address(), from.address(), WORD);
    return answer == WORD && to.getLong(0) == from.getLong(0)
        ? ok(COPY, "copies")
        : missing(
            COPY,
            "does not copy inside this process: " + described(answer),
            "allow process_vm_readv(2): a container's seccomp profile may forbid it",
            SOURCE);
  }

  private List<HostFinding> roundTrip(long page) throws UserfaultfdException {
    try (PoisonMarker marker = markerThatCostsNothing();
        Userfaultfd userfaultfd = Userfaultfd.open(kernel, marker)) {
      userfaultfd.register(page, Pages.SIZE_BYTES);
      FillResult poisoned = userfaultfd.poison(page, Pages.SIZE_BYTES);
      if (poisoned.outcome() != FillResult.Outcome.COMPLETED) {
        return List.of(
            notPossible(
                "marker %s: %s".formatted(marker.kind(), poisoned.explanation()),
                "report this kernel"));
      }
      return List.of(probed(page, marker.kind()), copyOfPoison(page));
    }
  }

  /** Each trial of {@link MarkerKind#HWPOISON} would take a page from this host for good. */
  private PoisonMarker markerThatCostsNothing() throws UserfaultfdException {
    boolean poisons = Feature.POISON.isIn(Userfaultfd.offeredFeatures(kernel));
    return new PoisonMarkers(kernel).open(poisons ? MarkerKind.UFFD : MarkerKind.SIGBUS);
  }

  private HostFinding probed(long page, MarkerKind kind) {
    Errno expected = kind == MarkerKind.UFFD ? Errno.EHWPOISON : Errno.EFAULT;
    int answer = kernel.advise(page, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ);
    return answer == -expected.intValue()
        ? ok(
            ROUND_TRIP,
            "a page was poisoned (%s) and MADV_POPULATE_READ answers %s"
                .formatted(kind, expected.name()))
        : missing(
            ROUND_TRIP,
            "MADV_POPULATE_READ of a poisoned page (%s) answers %s, not %s"
                .formatted(kind, described(answer), expected.name()),
            "a kernel without a change to madvise(2)",
            DESTINATION);
  }

  private HostFinding copyOfPoison(long page) {
    NativeMemory to = NativeMemory.allocate(WORD);
    long answer = kernel.copy(to.address(), page, WORD);
    return answer == -Errno.EFAULT.intValue()
        ? ok(SAFE_COPY, "answers EFAULT and nobody is killed")
        : missing(
            SAFE_COPY,
            "answers %s, not EFAULT".formatted(described(answer)),
            "report this kernel: a lost page could be read as data",
            SOURCE);
  }

  private static String described(long answer) {
    return answer < 0 ? KernelCallException.describe((int) -answer) : Long.toString(answer);
  }
}
