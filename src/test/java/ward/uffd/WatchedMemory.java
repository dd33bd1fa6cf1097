package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;

/**
 * Sixteen registered pages, and threads that touch them in native code.
 *
 * <p>No Java code loads from or stores to these pages: a Java thread that waits for a page holds
 * every safepoint of the JVM.
 */
final class WatchedMemory implements AutoCloseable {

  static final int PAGE = Pages.SIZE_BYTES;
  static final int PAGE_COUNT = 16;
  static final long LENGTH = Pages.bytes(PAGE_COUNT);

  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(20);

  enum Kind {
    ANONYMOUS,
    MEMFD
  }

  /** What became of a touch in native code: what fold() answered, and what SIGBUS carried. */
  record Touch(int answer, int signalCode, long signalAddress) {}

  final NativeKernel kernel = NativeKernel.load();
  final Userfaultfd uffd;
  final long base;

  private final Fd memfd;
  private final NativeMemory source = NativeMemory.allocate((int) LENGTH);
  private final EventBatch batch = new EventBatch(1);
  private final Deque<Long> otherMappings = new ArrayDeque<>();

  WatchedMemory(Kind kind) throws Exception {
    this(kind, Registration.MISSING);
  }

  WatchedMemory(Kind kind, long mode) throws Exception {
    this(kind, mode, new MarkerEntry());
  }

  WatchedMemory(Kind kind, PoisonMarker marker) throws Exception {
    this(kind, Registration.MISSING, marker);
  }

  private WatchedMemory(Kind kind, long mode, PoisonMarker marker) throws Exception {
    memfd = kind == Kind.MEMFD ? kernel.createMemfd("watched", LENGTH) : null;
    base = memfd == null ? kernel.mapAnonymous(LENGTH) : mapFile();
    uffd = Userfaultfd.open(kernel, marker);
    uffd.register(base, LENGTH, mode);
    for (int i = 0; i < LENGTH; i += Long.BYTES) {
      source.putLong(i, 0x5eed_0000_0000L + i);
    }
  }

  private long mapFile() throws KernelCallException {
    return kernel.mapShared(memfd, 0, LENGTH, Linux.PROT_READ | Linux.PROT_WRITE);
  }

  /** Another view of the same file, not registered. */
  long mapAgain() throws KernelCallException {
    otherMappings.add(mapFile());
    return otherMappings.getLast();
  }

  long page(int index) {
    return base + Pages.bytes(index);
  }

  /** Where the bytes lie that belong to a page. */
  long sourceOf(int page) {
    return source.address() + Pages.bytes(page);
  }

  FillResult copy(int page) {
    return uffd.copy(page(page), sourceOf(page), PAGE);
  }

  FillResult zero(int page) {
    return uffd.zero(page(page), PAGE);
  }

  void wakeAll() {
    uffd.wake(page(0), (long) PAGE_COUNT * PAGE);
  }

  FillResult poison(int page) {
    return uffd.poison(page(page), PAGE);
  }

  /** Checks that a page that is present holds the bytes of its source. */
  void assertHoldsItsBytes(int page) {
    assertThat(read(page)).isEqualTo(source.getBytes(page * PAGE, PAGE));
  }

  void assertHoldsZeros(int page) {
    assertThat(read(page)).isEqualTo(new byte[PAGE]);
  }

  private byte[] read(int page) {
    NativeMemory target = NativeMemory.allocate(PAGE);
    assertThat(kernel.copy(target.address(), page(page), PAGE)).isEqualTo(PAGE);
    return target.getBytes(0, PAGE);
  }

  /** Loads 8 bytes in native code, on this thread: for pages that are present or poisoned. */
  Touch touchNow(long address) {
    SignalInfo fault = new SignalInfo();
    int answer = kernel.fold(address, Long.BYTES, NativeMemory.allocate(Long.BYTES), fault);
    return new Touch(answer, fault.code(), fault.address());
  }

  /** Loads 8 bytes in native code, on a thread of its own that may have to wait. */
  CompletableFuture<Touch> touch(long address) {
    return start(() -> touchNow(address));
  }

  /** As {@link #touch}; the thread tells its id before it touches. */
  CompletableFuture<Touch> touch(long address, CompletableFuture<Integer> threadId) {
    return start(
        () -> {
          threadId.complete(kernel.threadId());
          return touchNow(address);
        });
  }

  /** Gives a page back, on a thread of its own: it waits until the event is read. */
  CompletableFuture<Integer> discard(int page) {
    return start(() -> kernel.advise(page(page), PAGE, Linux.MADV_DONTNEED));
  }

  /** Daemon threads, so that one that hangs cannot keep a failed test from ending. */
  <T> CompletableFuture<T> start(Callable<T> work) {
    CompletableFuture<T> result = new CompletableFuture<>();
    Thread thread =
        new Thread(
            () -> {
              try {
                result.complete(work.call());
              } catch (Throwable e) {
                result.completeExceptionally(e);
              }
            },
            "toucher");
    thread.setDaemon(true);
    thread.start();
    return result;
  }

  static <T> T await(CompletableFuture<T> result) throws Exception {
    return result.get(PATIENCE_NANOS, TimeUnit.NANOSECONDS);
  }

  /** The next event, alone in a batch. */
  EventBatch nextEvent() throws Exception {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (uffd.readEvents(batch) == 0) {
      pause(deadline, "an event");
    }
    return batch;
  }

  /** Waits until that many faults can be read. */
  void awaitUnreadFaults(int count) throws Exception {
    Path info = Path.of("/proc/self/fdinfo/" + uffd.descriptor());
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (!Files.readAllLines(info).contains("pending:\t" + count)) {
      pause(deadline, count + " unread faults");
    }
  }

  static void awaitThat(BooleanSupplier condition, String what) throws Exception {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      pause(deadline, what);
    }
  }

  private static void pause(long deadline, String what) throws InterruptedException {
    if (System.nanoTime() > deadline) {
      fail("waited in vain for " + what);
    }
    Thread.sleep(1);
  }

  /** The descriptor first: that wakes every thread that still waits. */
  @Override
  public void close() {
    uffd.close();
    kernel.unmap(base, LENGTH);
    otherMappings.forEach(address -> kernel.unmap(address, LENGTH));
    if (memfd != null) {
      memfd.close();
    }
  }
}
