package ward.testing;

import java.lang.ref.Reference;
import jnr.ffi.LastError;
import jnr.ffi.LibraryLoader;
import jnr.ffi.Runtime;
import ward.kernel.NativeMemory;

/** Calls that only tests make: what provokes the errors that Ward is to survive. */
public final class LibC {

  /** MFD_CLOEXEC, MFD_HUGETLB, and 2 MiB as the size of a page. */
  private static final int HUGE_PAGES = 1 | 4 | 21 << 26;

  /** The functions, as C declares them. */
  public interface Functions {
    int memfd_create(String name, int flags);

    int ftruncate(int fd, long length);

    int mprotect(long address, long length, int protection);

    long syscall(long number, long one, long two, long three, long four);
  }

  private static final boolean IS_ARM64 = System.getProperty("os.arch").equals("aarch64");
  private static final int RT_TGSIGQUEUEINFO = IS_ARM64 ? 240 : 297;
  private static final int SIGINFO_BYTES = 128;
  private static final int SIGINFO_CODE = 8;
  private static final int SIGINFO_ADDRESS = 16;

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

  /**
   * Sends the calling thread a signal as the kernel does; only to itself a thread may.
   *
   * @param code {@code si_code}
   * @param address {@code si_addr}
   */
  public static void signalSelf(int threadId, int signal, int code, long address) {
    NativeMemory info = NativeMemory.allocate(SIGINFO_BYTES);
    info.putInt(0, signal);
    info.putInt(SIGINFO_CODE, code);
    info.putLong(SIGINFO_ADDRESS, address);
    long process = ProcessHandle.current().pid();
    requireGood(
        "rt_tgsigqueueinfo",
        C.syscall(RT_TGSIGQUEUEINFO, process, threadId, signal, info.address()));
    Reference.reachabilityFence(info);
  }

  private static void requireGood(String call, long result) {
    if (result < 0) {
      throw new IllegalStateException(
          call + " failed: errno " + LastError.getLastError(Runtime.getSystemRuntime()));
    }
  }
}
