package ward.testing;

import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;

/** Calls that only tests make: what provokes the errors that Ward is to survive. */
public final class LibC {

  /** MFD_CLOEXEC, MFD_HUGETLB, and 2 MiB as the size of a page. */
  private static final int HUGE_PAGES = 1 | 4 | 21 << 26;

  /** The functions, as C declares them. */
  public interface Functions {
    int memfd_create(String name, int flags);

    int ftruncate(int fd, long length);

    int mprotect(long address, long length, int protection);
  }

  private static final Functions C = LibraryLoader.create(Functions.class).load("c");

  private LibC() {}

  /**
   * Makes a file of huge pages in memory.
   *
   * @return a descriptor
   */
  public static int hugeMemfd(long lengthBytes) {
    int fd = C.memfd_create("huge", HUGE_PAGES);
    requireGood("memfd_create(MFD_HUGETLB)", fd);
    requireGood("ftruncate", C.ftruncate(fd, lengthBytes));
    return fd;
  }

  /**
   * @param protection {@code PROT_*}
   */
  public static void protect(long address, long lengthBytes, int protection) {
    requireGood("mprotect", C.mprotect(address, lengthBytes, protection));
  }

  private static void requireGood(String call, int result) {
    if (result < 0) {
      throw new IllegalStateException(
          call + " failed: errno " + LastError.getLastError(Runtime.getSystemRuntime()));
    }
  }
}
