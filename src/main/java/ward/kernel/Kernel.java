package ward.kernel;

import java.lang.ref.Reference;

/**
 * Every system call this program makes that the JDK does not: the one seam that tests replace.
 *
 * <p>The seam reports, it does not judge: a call answers its result or {@code -errno}, and only the
 * caller knows which errnos are answers ({@code EAGAIN} from UFFDIO_COPY, {@code EINTR} from
 * KVM_RUN) and which are faults. The exceptions are calls that open or map something, where an
 * errno is never an answer.
 *
 * <p>Addresses are host-virtual addresses of this process; lengths are bytes.
 */
public interface Kernel {

  /**
   * Opens a path, close-on-exec.
   *
   * @param flags {@code O_*} of {@link Linux}
   */
  Fd open(String path, int flags) throws KernelCallException;

  /**
   * Opens a userfaultfd by the system call.
   *
   * @param flags {@code O_*} of {@link Linux}
   * @throws KernelCallException {@code EPERM} without {@code CAP_SYS_PTRACE} unless {@code
   *     vm.unprivileged_userfaultfd} is 1; {@code ENOSYS} on a kernel built without it
   */
  Fd openUserfaultfd(int flags) throws KernelCallException;

  /** Creates an unlinked file in memory, memfd_create(2). */
  Fd createMemfd(String name, long lengthBytes) throws KernelCallException;

  /**
   * Takes ownership of a descriptor that an ioctl returned, as {@code KVM_CREATE_VM} does.
   *
   * @param name for people: it stands in every message about the descriptor
   */
  Fd adopt(int number, String name);

  /** Bytes read into memory at {@code address}, or {@code -errno}. */
  long read(Fd fd, long address, long lengthBytes);

  /**
   * Issues {@code request}. The kernel may write results into the argument, also on failure.
   *
   * @param argument a value, or the address of a struct
   * @return what the call returned, or {@code -errno}
   */
  int ioctl(Fd fd, Ioctl request, long argument);

  /** The same with a struct, which stays reachable, and so in place, until the call is over. */
  default int ioctl(Fd fd, Ioctl request, NativeMemory argument) {
    try {
      return ioctl(fd, request, argument.address());
    } finally {
      Reference.reachabilityFence(argument);
    }
  }

  /**
   * Maps private anonymous memory, not reserved and not inherited by children.
   *
   * @return the address of the first byte
   */
  long mapAnonymous(long lengthBytes) throws KernelCallException;

  /**
   * Maps a part of a file or device, shared.
   *
   * @param protection {@code PROT_*} of {@link Linux}
   * @return the address of the first byte
   */
  long mapShared(Fd fd, long offsetBytes, long lengthBytes, int protection)
      throws KernelCallException;

  /**
   * Puts a private mapping of a file in the place of whatever a range holds, in one step: no thread
   * ever finds the range empty in between. Children do not inherit it.
   *
   * @param offsetBytes may lie behind the end of the file: a touch there raises SIGBUS
   * @return 0 or {@code -errno}
   */
  int mapOver(Fd fd, long offsetBytes, long address, long lengthBytes);

  /**
   * Forbids some changes of a memfd for good; 0 or {@code -errno}.
   *
   * @param seals {@code F_SEAL_*} of {@link Linux}
   */
  int seal(Fd memfd, int seals);

  /** Ends a mapping; 0 or {@code -errno}. */
  int unmap(long address, long lengthBytes);

  /**
   * madvise(2); 0 or {@code -errno}.
   *
   * @param advice {@code MADV_*} of {@link Linux}; {@code MADV_POPULATE_READ} answers {@code
   *     EHWPOISON} for a range with a poisoned page; {@code MADV_HWPOISON} raises SIGBUS on the
   *     calling thread where the kernel takes it for one that consumed the loss, and that is caught
   */
  int advise(long address, long lengthBytes, int advice);

  /**
   * Copies inside this process by way of the kernel (process_vm_readv(2)), so that a page that
   * cannot be read or written ends the copy instead of the process. Either side may be guest
   * memory: a page that is missing makes the thread wait in native code.
   *
   * @return leading bytes copied, fewer than asked if a later page cannot be read or written;
   *     {@code -EFAULT} if the first one cannot
   */
  long copy(long toAddress, long fromAddress, long lengthBytes);

  /**
   * The same by loads in native code, which a page that raises SIGBUS ends: a quarter of the time
   * for many pages, because the kernel does not look each one up and pin it. A page that is not
   * mapped for reading ends the process, so this is for memory that this process has mapped so.
   *
   * @param toAddress of this process's own memory, which can be written
   * @return as {@link #copy}, in whole pages of the source
   */
  long load(long toAddress, long fromAddress, long lengthBytes);

  /** The calling thread's id, as tgkill(2) takes it. */
  int threadId();

  /** Sends a signal to a thread of this process; 0 or {@code -errno}. */
  int signalThread(int threadId, int signal);

  /**
   * Blocks signals in the calling thread; 0 or {@code -errno}.
   *
   * @param mask bit N-1 stands for signal N
   */
  int blockSignals(long mask);

  /**
   * Lets the calling thread hear of memory errors of this process by {@code BUS_MCEERR_AO} when the
   * host finds them, and not only when they are consumed: {@code PR_MCE_KILL_EARLY} of prctl(2). Of
   * several such threads the host tells one.
   *
   * @return 0 or {@code -errno}
   */
  int hearOfErrorsEarly();

  /**
   * Takes a pending signal off the calling thread, where it must be blocked.
   *
   * @param mask bit N-1 stands for signal N
   * @param taken receives what the signal carried
   * @return the signal's number, or {@code -EAGAIN} when none came within the time
   */
  int takeSignal(long mask, SignalInfo taken, long timeoutNanos);

  /**
   * Loads every 64-bit word of a range and folds it into a hash, in native code: for a thread that
   * is meant to take the faults of a guest. A load that raises SIGBUS ends it.
   *
   * @param hash 8 bytes: the hash so far, then the hash including the range
   * @param fault receives what SIGBUS carried
   * @return 0, or {@code -EFAULT} after SIGBUS
   */
  int fold(long address, long lengthBytes, NativeMemory hash, SignalInfo fault);

  /**
   * Loads one word from each of several pages, one after the other, in native code, and writes down
   * what each load cost. A load that raises SIGBUS is over then, and the next one follows.
   *
   * @param touches address of an array of {@code struct ward_touch}
   * @param count of its elements
   * @return 0 or {@code -errno}
   */
  int touch(long touches, long count);
}
