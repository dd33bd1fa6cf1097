package ward.uffd;

import java.util.List;
import jnr.constants.platform.Errno;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;

/**
 * An open userfaultfd(2): faults on registered memory become events here, and wait until the page
 * is filled.
 *
 * <p>Filling, waking and registering are safe from all threads. Events are for one reader. Close it
 * when no thread uses it any more; that unregisters everything, wakes whoever waits, and leaves
 * poison markers in place, of whatever kind.
 *
 * <p>While an event of type REMOVE, UNMAP or REMAP is unread, the thread that caused it waits in
 * the kernel and every fill of the process is {@link FillResult.Outcome#INTERRUPTED}. So the thread
 * that reads events must never give back or unmap registered memory itself: it would wait for
 * itself.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/userfaultfd.2.html">userfaultfd(2)</a>
 */
public final class Userfaultfd implements Watcher, AutoCloseable {

  static final int IOCTL_TYPE = 0xAA;

  /** What is moved at once, or copied: by smaller pieces, moving is slower (half as fast, 6.18). */
  static final long MOVED_BYTES = 2 << 20;

  private static final Logger log = LoggerFactory.getLogger(Userfaultfd.class);
  private static final int WOULD_WAIT = Errno.EAGAIN.intValue();
  private static final int INTERRUPTED = Errno.EINTR.intValue();
  private static final List<Feature> ADOPTED_FEATURES =
      List.of(Feature.POISON, Feature.EVENT_REMOVE);

  private final Kernel kernel;
  private final Fd fd;
  private final PoisonMarker marker;
  private volatile boolean moves; // until the kernel has refused to
  // Each thread's own, for as long as the thread lives: no allocation, and none freed in a call.
  private final ThreadLocal<NativeMemory> argument =
      ThreadLocal.withInitial(() -> NativeMemory.allocate(FillRequest.MAX_BYTES));

  private Userfaultfd(Kernel kernel, Fd fd, PoisonMarker marker, boolean moves) {
    this.kernel = kernel;
    this.fd = fd;
    this.marker = marker;
    this.moves = moves;
  }

  /**
   * Opens a descriptor, close-on-exec and non-blocking, which also takes the faults that KVM raises
   * in the kernel. Tries the system call first and {@code /dev/userfaultfd} where that is not
   * permitted.
   *
   * @throws UserfaultfdException without the right, or on a kernel without {@code UFFDIO_POISON}
   */
  public static Userfaultfd open(Kernel kernel) throws UserfaultfdException {
    return open(kernel, new MarkerEntry());
  }

  /**
   * The same, but lost pages are marked in a way of the caller's choice.
   *
   * @param marker remains the caller's to close, after this
   */
  public static Userfaultfd open(Kernel kernel, PoisonMarker marker) throws UserfaultfdException {
    return new Userfaultfd(kernel, Handshake.open(kernel, marker.kind()), marker, true);
  }

  /**
   * Takes over a descriptor that another process has made for its own memory. Everything done with
   * this object happens there: only what {@link #copy} reads is in this process.
   *
   * <p>Closing it changes nothing there as long as the other process keeps its own.
   *
   * @param fd closed with this
   * @param features of the handshake that the other process has done
   * @throws UserfaultfdException if the handshake left out what Ward relies on
   */
  public static Userfaultfd adopt(Kernel kernel, Fd fd, long features) throws UserfaultfdException {
    for (Feature needed : ADOPTED_FEATURES) {
      if (!needed.isIn(features)) {
        throw new UserfaultfdException(
            UserfaultfdException.Kind.NOT_SUPPORTED,
            "%s was made with features 0x%x, without UFFD_FEATURE_%s (0x%x); its owner must ask for it in UFFDIO_API"
                .formatted(fd, features, needed, needed.bit()));
      }
    }
    log.info("{} is of another process: pages are copied there, not moved", fd);
    return new Userfaultfd(kernel, fd, new MarkerEntry(), false);
  }

  /** What {@link #open(Kernel)} asks a descriptor for, as far as this kernel offers it. */
  public static long wantedFeatures(Kernel kernel) throws UserfaultfdException {
    return Handshake.offered(kernel) & Feature.mask(Handshake.WANTED);
  }

  /** The descriptor itself, to be sent to another process. It still belongs to this object. */
  public Fd shared() {
    return fd;
  }

  /** What this kernel offers: a mask of {@link Feature#bit()}, and bits not known here. */
  public static long offeredFeatures(Kernel kernel) throws UserfaultfdException {
    return Handshake.offered(kernel);
  }

  /** The descriptor's number, for poll(2) and epoll(7). It still belongs to this object. */
  public int descriptor() {
    return fd.number();
  }

  /**
   * Makes the first touch of each missing page of a range wait for a fill.
   *
   * @param hostAddress host-virtual, a multiple of 4096, as is the length
   * @throws UserfaultfdException if the memory cannot be registered, or is of a kind (hugetlbfs)
   *     that cannot be filled and poisoned by 4 KiB pages
   */
  @Override
  public void register(long hostAddress, long lengthBytes) throws UserfaultfdException {
    register(hostAddress, lengthBytes, Registration.MISSING);
  }

  /** Also where the file has the page, but this mapping of it has not. */
  void registerShared(long hostAddress, long lengthBytes) throws UserfaultfdException {
    register(hostAddress, lengthBytes, Registration.MISSING | Registration.MINOR);
  }

  /** Huge pages, as {@link #registerShared}. */
  void registerHuge(long hostAddress, long lengthBytes) throws UserfaultfdException {
    Registration.addHuge(kernel, fd, hostAddress, lengthBytes);
    log.debug("{} watches {} bytes of huge pages", fd, lengthBytes);
  }

  /**
   * The same for a file of huge pages. Every part of it that is mapped in one piece begins at a
   * multiple of 512 pages, by the count of the second mapping too.
   */
  public Watcher ofHugePages(SecondMapping second) {
    return new HugeWatcher(kernel, this, second);
  }

  /**
   * Watches and fills memory of this process that is a shared mapping of a file in memory, and is
   * mapped a second time.
   */
  public Watcher ofSharedMemory(SecondMapping second) {
    return new SharedWatcher(kernel, this, second);
  }

  void register(long hostAddress, long lengthBytes, long mode) throws UserfaultfdException {
    Registration.add(kernel, fd, hostAddress, lengthBytes, mode, marker.kind());
    log.debug("{} watches {} bytes at 0x{}", fd, lengthBytes, Long.toHexString(hostAddress));
  }

  /**
   * Makes a range ordinary memory again and wakes whoever waits: missing pages then read as zeros,
   * poisoned ones stay poisoned.
   */
  public void unregister(long hostAddress, long lengthBytes) throws UserfaultfdException {
    Registration.remove(kernel, fd, hostAddress, lengthBytes);
  }

  /**
   * Takes waiting events off the descriptor, without waiting for any.
   *
   * @param batch overwritten
   * @return the number of events, {@code batch.size()}; 0 when none waits
   */
  public int readEvents(EventBatch batch) throws UserfaultfdException {
    long answer = kernel.read(fd, batch.memory().address(), batch.memory().sizeBytes());
    if (answer >= 0) {
      return batch.fill(answer);
    }
    if (isNoEvent((int) -answer)) {
      return batch.fill(0);
    }
    throw new UserfaultfdException(
        UserfaultfdException.Kind.FAILED,
        "read of events from %s failed: %s"
            .formatted(fd, KernelCallException.describe((int) -answer)));
  }

  private static boolean isNoEvent(int errno) {
    return errno == WOULD_WAIT || errno == INTERRUPTED;
  }

  @Override
  public FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
    argument.get().putLong(FillRequest.SOURCE, sourceAddress);
    return fill(FillRequest.COPY, hostAddress, lengthBytes);
  }

  /**
   * Moves what is one huge page on both sides, and copies anything else; also what the kernel does
   * not move.
   *
   * @see <a href="https://man7.org/linux/man-pages/man2/UFFDIO_MOVE.2const.html">UFFDIO_MOVE</a>
   */
  @Override
  public FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
    if (moves(hostAddress, sourceAddress, lengthBytes)) {
      FillResult moved = move(hostAddress, sourceAddress, lengthBytes);
      if (moved.isAboutTheRange()) {
        return moved;
      }
      refusedToMove(moved);
    }
    return copy(hostAddress, sourceAddress, lengthBytes);
  }

  @Override
  public boolean moves(long hostAddress, long sourceAddress, long lengthBytes) {
    return moves && lengthBytes == MOVED_BYTES && isHuge(hostAddress) && isHuge(sourceAddress);
  }

  private static boolean isHuge(long address) {
    return address % MOVED_BYTES == 0;
  }

  FillResult move(long hostAddress, long sourceAddress, long lengthBytes) {
    argument.get().putLong(FillRequest.SOURCE, sourceAddress);
    return fill(FillRequest.MOVE, hostAddress, lengthBytes);
  }

  /** EINVAL is for good: an older kernel, or memory that is shared or of another process. */
  private void refusedToMove(FillResult answer) {
    if (answer.errno() == Errno.EINVAL.intValue()) {
      moves = false;
      log.info(
          "{} does not move pages ({}: {}); they are copied. Linux {} moves them into private anonymous memory",
          fd,
          FillRequest.MOVE.ioctl(),
          KernelCallException.describe(answer.errno()),
          Feature.MOVE.linuxVersion());
    } else {
      log.debug("a huge page is copied: {} {}", FillRequest.MOVE.ioctl(), answer.explanation());
    }
  }

  @Override
  public FillResult zero(long hostAddress, long lengthBytes) {
    return fill(FillRequest.ZEROPAGE, hostAddress, lengthBytes);
  }

  @Override
  public FillResult poison(long hostAddress, long lengthBytes) {
    return marker.place(this, hostAddress, lengthBytes);
  }

  /**
   * Maps what the file already holds, in shared memory, and wakes whoever faulted on it.
   *
   * <p>Heals a poisoned page, as {@link #copy} does.
   *
   * @see <a
   *     href="https://man7.org/linux/man-pages/man2/UFFDIO_CONTINUE.2const.html">UFFDIO_CONTINUE</a>
   */
  public FillResult continueRange(long hostAddress, long lengthBytes) {
    return fill(FillRequest.CONTINUE, hostAddress, lengthBytes);
  }

  /**
   * The kernel refuses where a page is the shared one of zeros, in watched memory. Pages of the
   * guest's own take its place where the huge page is worth it: where most of it has content.
   */
  @Override
  public FillResult collapse(long hostAddress, long lengthBytes) {
    int answer = kernel.advise(hostAddress, lengthBytes, Linux.MADV_COLLAPSE);
    if (answer == -Errno.EBUSY.intValue() && hasFewZeroPages(hostAddress, lengthBytes)) {
      kernel.advise(hostAddress, lengthBytes, Linux.MADV_POPULATE_WRITE);
      answer = kernel.advise(hostAddress, lengthBytes, Linux.MADV_COLLAPSE);
    }
    return answer == 0
        ? new FillResult(FillResult.Outcome.COMPLETED, lengthBytes, 0)
        : new FillResult(FillResult.Outcome.REFUSED, 0, -answer);
  }

  /** More than none, and at most half. */
  private boolean hasFewZeroPages(long hostAddress, long lengthBytes) {
    try (PagemapScan pagemap = PagemapScan.open(kernel)) {
      long zeros = pagemap.bytes(hostAddress, lengthBytes, PagemapScan.ZERO);
      return zeros > 0 && zeros <= lengthBytes / 2;
    } catch (KernelCallException e) {
      return false;
    }
  }

  FillResult fill(FillRequest request, long hostAddress, long lengthBytes) {
    NativeMemory block = argument.get();
    request.write(block, hostAddress, lengthBytes);
    int answer = kernel.ioctl(fd, request.ioctl(), block);
    return FillResult.of(answer, block.getLong(request.doneOffset()), lengthBytes);
  }

  @Override
  public void wake(long hostAddress, long lengthBytes) {
    NativeMemory block = argument.get();
    block.putLong(Registration.START, hostAddress);
    block.putLong(Registration.LENGTH, lengthBytes);
    int answer = kernel.ioctl(fd, Registration.WAKE, block);
    if (answer < 0) {
      throw new IllegalArgumentException(
          "%s on %s of %d bytes at 0x%x failed: %s; a multiple of 4096, not 0, is allowed"
              .formatted(
                  Registration.WAKE,
                  fd,
                  lengthBytes,
                  hostAddress,
                  KernelCallException.describe(-answer)));
    }
  }

  /** Unregisters everything and wakes whoever waits. Poison markers stay. */
  @Override
  public void close() {
    fd.close();
  }

  @Override
  public String toString() {
    return fd.toString();
  }
}
