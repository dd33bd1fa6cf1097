package ward.kernel;

/**
 * Numbers of the Linux ABI that are the same on x86-64 and arm64.
 *
 * <p>The C compiler's own values are compared with these by {@code LinuxTest}.
 */
public final class Linux {

  /** open(2). */
  public static final int O_RDONLY = 0;

  /** open(2). */
  public static final int O_RDWR = 2;

  /** open(2), userfaultfd(2). */
  public static final int O_NONBLOCK = 0x800;

  /** open(2), userfaultfd(2). */
  public static final int O_CLOEXEC = 0x80000;

  /** mmap(2). */
  public static final int PROT_READ = 1;

  /** mmap(2). */
  public static final int PROT_WRITE = 2;

  /** madvise(2): gives the pages back; a poison marker among them is gone. */
  public static final int MADV_DONTNEED = 4;

  /** madvise(2): the file has a hole in place of the range; also seen by its other mappings. */
  public static final int MADV_REMOVE = 9;

  /** Huge pages where the range allows; an errno where the kernel has none. */
  public static final int MADV_HUGEPAGE = 14;

  /** madvise(2), Linux 5.14: the only call whose errno names poison. */
  public static final int MADV_POPULATE_READ = 22;

  /** madvise(2), Linux 5.14: makes the pages present, and dirty. */
  public static final int MADV_POPULATE_WRITE = 23;

  /** madvise(2), Linux 6.1: makes huge pages of what is there, now. */
  public static final int MADV_COLLAPSE = 25;

  /** madvise(2): the hardware is taken to have lost the page. */
  public static final int MADV_HWPOISON = 100;

  /** fcntl(2), F_ADD_SEALS: no further seals. */
  public static final int F_SEAL_SEAL = 1;

  /** fcntl(2), F_ADD_SEALS: the file keeps its length or grows. */
  public static final int F_SEAL_SHRINK = 2;

  /** fcntl(2), F_ADD_SEALS: the file keeps its length or shrinks. */
  public static final int F_SEAL_GROW = 4;

  /** fcntl(2), F_ADD_SEALS, Linux 5.1: no write, hole or new shared writable mapping any more. */
  public static final int F_SEAL_FUTURE_WRITE = 16;

  /** signal(7). */
  public static final int SIGBUS = 7;

  /** sigaction(2): a direct touch of a poison marker on a kernel without CONFIG_MEMORY_FAILURE. */
  public static final int BUS_ADRERR = 2;

  /** sigaction(2): an arm64 host reports an abort that firmware did not claim. */
  public static final int BUS_OBJERR = 3;

  /** sigaction(2): poison was consumed. */
  public static final int BUS_MCEERR_AR = 4;

  /** sigaction(2): poison was found, but not consumed. */
  public static final int BUS_MCEERR_AO = 5;

  private Linux() {}

  /** The bit of a signal in a mask, as in {@code sigset_t}. */
  public static long signalBit(int signal) {
    return 1L << (signal - 1);
  }
}
