package ward.kernel;

import java.lang.ref.Reference;
import jnr.ffi.LibraryLoader;
import jnr.ffi.annotations.IgnoreError;

/** The seam on a real Linux, through {@code native-stubs/}. Stateless and safe for all threads. */
public final class NativeKernel implements Kernel {

  private final Stubs stubs;

  private NativeKernel(Stubs stubs) {
    this.stubs = stubs;
  }

  /**
   * Loads the stub library.
   *
   * @throws IllegalStateException with what to do, if it cannot be loaded
   */
  public static NativeKernel load() {
    return new NativeKernel(Holder.STUBS);
  }

  /**
   * What the C compiler knows of the kernel's ABI.
   *
   * @param name a number, {@code sizeof type} or {@code type.field}
   * @throws IllegalArgumentException if the stub library does not list it
   */
  public static long constant(String name) {
    long value = Holder.STUBS.ward_constant(name);
    if (value == -ENOENT) {
      throw new IllegalArgumentException("native-stubs/constants.c does not list " + name);
    }
    return value;
  }

  @Override
  public Fd open(String path, int flags) throws KernelCallException {
    return opened("open", path, path, stubs.ward_open(path, flags));
  }

  @Override
  public Fd openUserfaultfd(int flags) throws KernelCallException {
    return opened("userfaultfd(2)", "this process", "userfaultfd", stubs.ward_userfaultfd(flags));
  }

  @Override
  public Fd createMemfd(String name, long lengthBytes) throws KernelCallException {
    return opened(
        "memfd_create",
        name + " of " + lengthBytes + " bytes",
        name,
        stubs.ward_memfd(name, lengthBytes));
  }

  @Override
  public Fd createHugeMemfd(String name, long lengthBytes) throws KernelCallException {
    return opened(
        "memfd_create",
        "%s of %d bytes in huge pages".formatted(name, lengthBytes),
        name,
        stubs.ward_memfd_huge(name, lengthBytes));
  }

  /** For what the seam offers beside {@link Kernel}. */
  static Stubs stubs() {
    return Holder.STUBS;
  }

  private Fd opened(String call, String subject, String name, long result)
      throws KernelCallException {
    return adopt((int) positive(call, subject, result), name);
  }

  @Override
  public Fd adopt(int number, String name) {
    return new Fd(name, number, stubs::ward_close);
  }

  @Override
  public long read(Fd fd, long address, long lengthBytes) {
    return stubs.ward_read(fd.number(), address, lengthBytes);
  }

  @Override
  public int ioctl(Fd fd, Ioctl request, long argument) {
    long number = Integer.toUnsignedLong(request.number());
    return (int) stubs.ward_ioctl(fd.number(), number, argument);
  }

  @Override
  public long mapAnonymous(long lengthBytes) throws KernelCallException {
    return positive(
        "mmap",
        lengthBytes + " bytes of anonymous memory",
        stubs.ward_map(-1, 0, lengthBytes, Linux.PROT_READ | Linux.PROT_WRITE));
  }

  @Override
  public long mapShared(Fd fd, long offsetBytes, long lengthBytes, int protection)
      throws KernelCallException {
    return positive(
        "mmap",
        "%d bytes of %s at offset %d".formatted(lengthBytes, fd, offsetBytes),
        stubs.ward_map(fd.number(), offsetBytes, lengthBytes, protection));
  }

  @Override
  public long mapAligned(Fd fd, long lengthBytes) throws KernelCallException {
    return positive(
        "mmap",
        "%d bytes of %s".formatted(lengthBytes, fd),
        stubs.ward_map_aligned(fd.number(), lengthBytes));
  }

  private static long positive(String call, String subject, long result)
      throws KernelCallException {
    if (result < 0) {
      throw new KernelCallException(call, subject, (int) -result);
    }
    return result;
  }

  @Override
  public int mapOver(Fd fd, long offsetBytes, long address, long lengthBytes) {
    return (int) stubs.ward_map_over(fd.number(), offsetBytes, address, lengthBytes);
  }

  @Override
  public int seal(Fd memfd, int seals) {
    return (int) stubs.ward_seal(memfd.number(), seals);
  }

  @Override
  public int unmap(long address, long lengthBytes) {
    return (int) stubs.ward_unmap(address, lengthBytes);
  }

  @Override
  public int advise(long address, long lengthBytes, int advice) {
    return advice == Linux.MADV_HWPOISON
        ? lose(address, lengthBytes)
        : (int) stubs.ward_advise(address, lengthBytes, advice);
  }

  private int lose(long address, long lengthBytes) {
    long caught = stubs.ward_catch_bus_errors();
    return (int) (caught < 0 ? caught : stubs.ward_lose(address, lengthBytes));
  }

  @Override
  public long copy(long toAddress, long fromAddress, long lengthBytes) {
    return stubs.ward_copy(toAddress, fromAddress, lengthBytes);
  }

  @Override
  public long load(long toAddress, long fromAddress, long lengthBytes) {
    return stubs.ward_load(toAddress, fromAddress, lengthBytes);
  }

  @Override
  public int threadId() {
    return (int) stubs.ward_thread_id();
  }

  @Override
  public int signalThread(int threadId, int signal) {
    return (int) stubs.ward_signal_thread(threadId, signal);
  }

  @Override
  public int blockSignals(long mask) {
    return (int) stubs.ward_block_signals(mask);
  }

  @Override
  public int hearOfErrorsEarly() {
    return (int) stubs.ward_hear_early();
  }

  @Override
  public int takeSignal(long mask, SignalInfo taken, long timeoutNanos) {
    try {
      return (int) stubs.ward_take_signal(mask, taken.structAddress(), timeoutNanos);
    } finally {
      Reference.reachabilityFence(taken);
    }
  }

  @Override
  public int fold(long address, long lengthBytes, NativeMemory hash, SignalInfo fault) {
    long caught = stubs.ward_catch_bus_errors();
    if (caught < 0) {
      return (int) caught;
    }
    try {
      return (int) stubs.ward_fold(address, lengthBytes, hash.address(), fault.structAddress());
    } finally {
      // A load may wait long for its page; without this the collector frees both meanwhile.
      Reference.reachabilityFence(hash);
      Reference.reachabilityFence(fault);
    }
  }

  @Override
  public int touch(long touches, long count) {
    long caught = stubs.ward_catch_bus_errors();
    return (int) (caught < 0 ? caught : stubs.ward_touch(touches, count));
  }

  private static final int ENOENT = 2;

  /** Loaded on first use, once for the process. */
  private static final class Holder {
    static final Stubs STUBS =
        LibraryLoader.create(Stubs.class).load(StubLibrary.locate().toString());
  }

  /**
   * {@code native-stubs/ward.h}. Every result is {@code >= 0} or {@code -errno}, so JNR need not
   * save errno. No function takes six integers: JNR-FFI passes garbage for the sixth.
   */
  @IgnoreError
  public interface Stubs {
    long ward_open(String path, int flags);

    long ward_close(int fd);

    long ward_read(int fd, long address, long length);

    long ward_ioctl(int fd, long request, long argument);

    long ward_userfaultfd(int flags);

    long ward_memfd(String name, long length);

    long ward_memfd_huge(String name, long length);

    long ward_map(int fd, long offset, long length, int protection);

    long ward_map_aligned(int fd, long length);

    long ward_map_over(int fd, long offset, long address, long length);

    long ward_next_data(int fd, long offset);

    long ward_stored(int fd);

    long ward_seal(int fd, int seals);

    long ward_unmap(long address, long length);

    long ward_advise(long address, long length, int advice);

    long ward_lose(long address, long length);

    long ward_resident(long address, long length, long bytes);

    long ward_copy(long to, long from, long length);

    @IgnoreError
    long ward_load(long to, long from, long length);

    @IgnoreError
    long ward_is_zero(long address);

    @IgnoreError
    long ward_alike(long address, long pages);

    @IgnoreError
    long ward_pack(long address, long pages, long bits, long first);

    @IgnoreError
    long ward_unpack(long address, long pages, long bits);

    long ward_socket_connect(String path);

    long ward_socket_listen(String path);

    long ward_socket_accept(int fd);

    long ward_socket_peer(int fd);

    long ward_socket_send(int fd, long address, long length, int descriptor);

    long ward_socket_receive(int fd, long address, long length, long descriptor);

    long ward_socket_end(int fd);

    long ward_socket_take(int fd);

    long ward_receive(int fd, long address, long length, int wait);

    long ward_send(int fd, long address, long length, int more);

    long ward_inputs_open();

    long ward_inputs_watch(int inputs, int fd, int watch);

    long ward_inputs_await(int inputs, int timeoutMilliseconds);

    long ward_thread_id();

    long ward_nice(int thread, int nice);

    long ward_hear_early();

    long ward_signal_thread(int thread, int signal);

    long ward_block_signals(long mask);

    long ward_take_signal(long mask, long taken, long timeoutNanoseconds);

    long ward_fold(long address, long length, long hash, long fault);

    long ward_touch(long touches, long count);

    long ward_catch_bus_errors();

    long ward_constant(String name);
  }
}
