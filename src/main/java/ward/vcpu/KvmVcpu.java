package ward.vcpu;

import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/** One virtual processor. Used by one thread at a time. */
final class KvmVcpu implements AutoCloseable {

  /**
   * The widest load has 64 bytes, KVM hands over 8 at a time, and a string copy has two operands.
   */
  private static final int FRAGMENTS_MAX = 64;

  private final Kernel kernel;
  private final Fd fd;
  private final int index;
  private final NativeMemory runPage;
  private final KvmRun run;

  KvmVcpu(Kernel kernel, Fd fd, int index, NativeMemory runPage) {
    this.kernel = kernel;
    this.fd = fd;
    this.index = index;
    this.runPage = runPage;
    this.run = new KvmRun(runPage);
  }

  int index() {
    return index;
  }

  KvmRun exit() {
    return run;
  }

  /** Runs the guest: 0 for an exit, or {@code -errno}; {@code -EINTR} after a signal. */
  int run() {
    run.forgetExit();
    return kernel.ioctl(fd, KvmRequest.RUN, 0);
  }

  /** Lets every signal end KVM_RUN, also those that the thread blocks. */
  void openToSignals() throws KernelCallException {
    call(KvmRequest.SET_SIGNAL_MASK, new KvmSignalMask().memory());
  }

  /**
   * Finishes the access for which KVM_RUN returned KVM_EXIT_MMIO without running another
   * instruction.
   *
   * @param content what is read there; ones beyond its end
   */
  void finishPendingAccess(byte[] content) throws KernelCallException {
    run.immediateExit(true);
    try {
      finishFragments(content);
    } finally {
      run.immediateExit(false);
    }
  }

  /**
   * Completes the access for which KVM_RUN returned, without running another instruction: until
   * then its result is in none of the registers ({@code KVM_GET_REGS} in
   * Documentation/virt/kvm/api.rst, under KVM_EXIT_IO and KVM_EXIT_MMIO).
   *
   * @return 0 if the same instruction made another access, which {@link #exit()} describes; {@code
   *     -EINTR} once there is none
   */
  int completeAccess() {
    run.immediateExit(true);
    try {
      return run();
    } finally {
      run.immediateExit(false);
    }
  }

  private void finishFragments(byte[] content) throws KernelCallException {
    int given = 0;
    for (int i = 0; i < FRAGMENTS_MAX; i++) {
      if (run.exitReason() == KvmRun.EXIT_MMIO && !run.mmioIsWrite()) {
        run.answerMmio(content, given);
        given += run.mmioSizeBytes();
      }
      int result = run();
      if (result == -Errno.EINTR.intValue()) {
        return;
      }
      if (result < 0) {
        throw new KernelCallException(KvmRequest.RUN, fd, -result);
      }
    }
    throw new IllegalStateException(
        "%s: one instruction made more than %d memory accesses".formatted(fd, FRAGMENTS_MAX));
  }

  /**
   * @param argument a value
   */
  int call(Ioctl request, long argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  /**
   * @param argument a struct, which the kernel may write
   */
  int call(Ioctl request, NativeMemory argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  @Override
  public void close() {
    kernel.unmap(runPage.address(), runPage.sizeBytes());
    fd.close();
  }

  @Override
  public String toString() {
    return fd.toString();
  }
}
