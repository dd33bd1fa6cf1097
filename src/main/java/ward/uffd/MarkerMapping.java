package ward.uffd;

import java.io.IOException;
import java.nio.file.Path;
import java.util.UUID;
import java.util.function.LongPredicate;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.memory.Pages;

/**
 * {@link MarkerKind#HWPOISON} and {@link MarkerKind#SIGBUS}: a mapping of a file that cannot be
 * read takes the place of the lost page.
 *
 * <p>The kernel exchanges the two under its lock on the address space, so that a thread which
 * touches the page meets either the watched page, and waits, or SIGBUS: never a page that was
 * mapped in order to be lost, nor a range that nobody watches. Those are the traps of the obvious
 * ways. To poison the page in its place, {@code MADV_HWPOISON} needs it mapped first, and a vCPU
 * may read its zeros before the poison is there. A second userfaultfd with {@code
 * UFFD_FEATURE_SIGBUS} needs the page to leave the first one, and whoever touches it in between
 * gets zeros; its markers also last no longer than its descriptor. {@code PROT_NONE} raises SIGSEGV
 * instead of SIGBUS, and does not stop {@code /proc/PID/mem}.
 *
 * <p>Nor does anything take the mapping's effect back: the file is sealed, and pages that the guest
 * gives back ({@code MADV_DONTNEED}) are mapped from the same file at the next touch. The page is
 * no longer watched by the userfaultfd, so no event tells of that; none is needed.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/mmap.2.html">mmap(2), MAP_FIXED and
 *     SIGBUS</a>
 */
final class MarkerMapping extends PoisonMarker {

  /** Begins the name of every such file, as {@code /proc/PID/maps} shows it. */
  static final String FILE_PREFIX = "ward-lost-";

  private static final Path OWN_MAPPINGS = Path.of("/proc/self/maps");
  private static final int UNCHANGEABLE =
      Linux.F_SEAL_SEAL | Linux.F_SEAL_SHRINK | Linux.F_SEAL_GROW | Linux.F_SEAL_FUTURE_WRITE;

  private final Kernel kernel;
  private final MarkerKind kind;
  private final String name;
  private final Fd file;

  private MarkerMapping(Kernel kernel, MarkerKind kind) throws KernelCallException {
    this.kernel = kernel;
    this.kind = kind;
    this.name = FILE_PREFIX + UUID.randomUUID();
    this.file = kernel.createMemfd(name, kind == MarkerKind.HWPOISON ? Pages.SIZE_BYTES : 0);
  }

  /** Markers without any right and on every kernel. */
  static MarkerMapping ofEmptyFile(Kernel kernel) throws KernelCallException {
    return new MarkerMapping(kernel, MarkerKind.SIGBUS).sealed();
  }

  /** Loses one page of this host for good; see {@link MarkerKind#HWPOISON}. */
  static MarkerMapping ofLostPage(Kernel kernel) throws KernelCallException {
    MarkerMapping marker = new MarkerMapping(kernel, MarkerKind.HWPOISON);
    try {
      marker.loseThePage();
    } catch (KernelCallException e) {
      marker.close();
      throw e;
    }
    return marker.sealed();
  }

  private void loseThePage() throws KernelCallException {
    int access = Linux.PROT_READ | Linux.PROT_WRITE;
    long page = kernel.mapShared(file, 0, Pages.SIZE_BYTES, access);
    try {
      // Dirty: of a clean page the kernel may think that the file has its content elsewhere.
      require(0, "MADV_POPULATE_WRITE", advise(page, Linux.MADV_POPULATE_WRITE));
      require(0, "MADV_HWPOISON", advise(page, Linux.MADV_HWPOISON));
      require(
          -answerOfAProbe().intValue(),
          "MADV_POPULATE_READ of the page that MADV_HWPOISON lost",
          advise(page, Linux.MADV_POPULATE_READ));
    } finally {
      kernel.unmap(page, Pages.SIZE_BYTES);
    }
  }

  private int advise(long page, int advice) {
    return kernel.advise(page, Pages.SIZE_BYTES, advice);
  }

  private void require(int expected, String call, int answer) throws KernelCallException {
    if (answer != expected) {
      throw new KernelCallException(call, "a page of " + file, -answer);
    }
  }

  private MarkerMapping sealed() throws KernelCallException {
    int answer = kernel.seal(file, UNCHANGEABLE);
    if (answer < 0) {
      close();
      throw new KernelCallException("F_ADD_SEALS", file.toString(), -answer);
    }
    return this;
  }

  @Override
  public MarkerKind kind() {
    return kind;
  }

  @Override
  FillResult place(Userfaultfd watcher, long hostAddress, long lengthBytes) {
    long done = 0;
    int answer = 0;
    while (done < lengthBytes && answer == 0) {
      long step = kind == MarkerKind.HWPOISON ? Pages.SIZE_BYTES : lengthBytes;
      answer = kernel.mapOver(file, offsetOf(hostAddress + done), hostAddress + done, step);
      done += answer == 0 ? step : 0;
    }
    if (done > 0) {
      watcher.wake(hostAddress, done);
    }
    return answer == 0
        ? new FillResult(FillResult.Outcome.COMPLETED, done, 0)
        : new FillResult(FillResult.Outcome.REFUSED, done, -answer);
  }

  /** In the empty file every place is as good; this one lets neighbours become one mapping. */
  private long offsetOf(long hostAddress) {
    return kind == MarkerKind.HWPOISON ? 0 : hostAddress;
  }

  @Override
  LongPredicate withoutEntry() throws IOException {
    MappedRanges ours = MappedRanges.ofFile(OWN_MAPPINGS, "/memfd:" + name + " (deleted)");
    int expected = -answerOfAProbe().intValue();
    return page -> ours.contains(page) && advise(page, Linux.MADV_POPULATE_READ) == expected;
  }

  private Errno answerOfAProbe() {
    return kind == MarkerKind.HWPOISON ? Errno.EHWPOISON : Errno.EFAULT;
  }

  @Override
  public void close() {
    file.close();
  }
}
