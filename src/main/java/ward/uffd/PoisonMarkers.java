package ward.uffd;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import jnr.constants.platform.Errno;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.memory.Pages;

/** The ways in which this host can mark lost pages. */
public final class PoisonMarkers {

  private static final Logger log = LoggerFactory.getLogger(PoisonMarkers.class);
  private static final String RECOVERY = "memory_failure_recovery";
  private static final String EARLY_KILL = "memory_failure_early_kill";

  private final Kernel kernel;
  private final Path settings;

  public PoisonMarkers(Kernel kernel) {
    this(kernel, Path.of("/proc/sys/vm"));
  }

  /**
   * @param settings the directory of the kernel's {@code vm} settings
   */
  public PoisonMarkers(Kernel kernel, Path settings) {
    this.kernel = kernel;
    this.settings = settings;
  }

  /**
   * Every kind, best first, and why those that do not work here do not. Loses no page.
   *
   * @throws UserfaultfdException if userfaultfd does not open, without which no kind serves
   */
  public List<MarkerOffer> offers() throws UserfaultfdException {
    long features = Handshake.offered(kernel);
    return Stream.of(MarkerKind.values())
        .map(kind -> new MarkerOffer(kind, refusal(kind, features)))
        .toList();
  }

  private String refusal(MarkerKind kind, long features) {
    return switch (kind) {
      case UFFD ->
          Feature.POISON.isIn(features)
              ? ""
              : "this kernel's userfaultfd has no UFFDIO_POISON; Linux %s or later has it"
                  .formatted(Feature.POISON.linuxVersion());
      case HWPOISON -> refusalOfHwpoison();
      case SIGBUS -> "";
    };
  }

  private String refusalOfHwpoison() {
    try {
      int answer = askWithoutLosing();
      return switch (Errno.valueOf(-answer)) {
        case EFAULT -> refusalBySettings();
        case EINVAL -> "this kernel has no MADV_HWPOISON; one with CONFIG_MEMORY_FAILURE=y has it";
        case EPERM -> "MADV_HWPOISON is not permitted; it needs CAP_SYS_ADMIN";
        default -> "MADV_HWPOISON answers " + KernelCallException.describe(-answer);
      };
    } catch (IOException e) {
      return "it could not be tried: " + e.getMessage();
    }
  }

  /**
   * What MADV_HWPOISON says of a page that cannot be there. The kernel looks at the right before it
   * looks for the page, so EFAULT means that everything else was well.
   */
  private int askWithoutLosing() throws KernelCallException {
    try (Fd empty = kernel.createMemfd("ward-probe", 0)) {
      long page = kernel.mapShared(empty, 0, Pages.SIZE_BYTES, Linux.PROT_READ);
      try {
        return kernel.advise(page, Pages.SIZE_BYTES, Linux.MADV_HWPOISON);
      } finally {
        kernel.unmap(page, Pages.SIZE_BYTES);
      }
    }
  }

  private String refusalBySettings() throws IOException {
    if (!setting(RECOVERY).equals("1")) {
      return "vm.%s is %s: this kernel panics when a page is lost; sysctl vm.%s=1"
          .formatted(RECOVERY, setting(RECOVERY), RECOVERY);
    }
    return setting(EARLY_KILL).equals("0")
        ? ""
        : "vm.%s is %s: the kernel would end Ward itself as soon as the page is lost; sysctl vm.%s=0"
            .formatted(EARLY_KILL, setting(EARLY_KILL), EARLY_KILL);
  }

  private String setting(String name) throws IOException {
    return Files.readString(settings.resolve(name)).strip();
  }

  /**
   * Opens one kind.
   *
   * @throws UserfaultfdException if this host does not offer it, with the reason
   */
  public PoisonMarker open(MarkerKind kind) throws UserfaultfdException {
    for (MarkerOffer offer : offers()) {
      if (offer.kind() == kind && !offer.isAvailable()) {
        throw new UserfaultfdException(
            UserfaultfdException.Kind.NOT_SUPPORTED,
            "poison markers of kind %s: %s".formatted(kind, offer.refusal()));
      }
    }
    try {
      return switch (kind) {
        case UFFD -> new MarkerEntry();
        case HWPOISON -> MarkerMapping.ofLostPage(kernel);
        case SIGBUS -> MarkerMapping.ofEmptyFile(kernel);
      };
    } catch (KernelCallException e) {
      throw new UserfaultfdException(
          UserfaultfdException.Kind.FAILED,
          "poison markers of kind %s: %s".formatted(kind, e.getMessage()),
          e);
    }
  }

  /**
   * Opens the one kind that there is for huge pages.
   *
   * @throws UserfaultfdException if this kernel does not offer it, with the reason
   */
  public PoisonMarker openForHugePages() throws UserfaultfdException {
    open(MarkerKind.UFFD).close(); // or why not
    return HugeMarker.open(kernel);
  }

  /** Opens the best kind that this host offers. */
  public PoisonMarker openBest() throws UserfaultfdException {
    UserfaultfdException last = null;
    for (MarkerOffer offer : offers()) {
      if (!offer.isAvailable()) {
        log.info("no poison markers of kind {}: {}", offer.kind(), offer.refusal());
        continue;
      }
      try {
        return open(offer.kind());
      } catch (UserfaultfdException e) {
        log.warn("{}", e.getMessage());
        last = e;
      }
    }
    throw last == null ? none() : last;
  }

  private static UserfaultfdException none() {
    return new UserfaultfdException(
        UserfaultfdException.Kind.NOT_SUPPORTED, "this host offers no kind of poison marker");
  }
}
