package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.time.Duration;
import java.util.BitSet;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.BooleanSupplier;
import jnr.constants.platform.Errno;
import ward.guest.GuestMemory;
import ward.guest.MemoryKind;
import ward.kernel.Fd;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.GuestLayout;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.uffd.MarkerKind;
import ward.uffd.MarkerScan;
import ward.uffd.PoisonMarker;
import ward.uffd.PoisonMarkers;
import ward.uffd.Userfaultfd;
import ward.uffd.Watcher;
import ward.wire.MixedPages;

/**
 * Registered memory of this process, threads that touch it in native code, and an arrival's parts
 * over it. No Java code loads from or stores to these pages.
 */
final class TouchedMemory implements AutoCloseable {

  private static final long PATIENCE_NANOS = TimeUnit.SECONDS.toNanos(20);

  final NativeKernel kernel = NativeKernel.load();
  final PoisonMarker marker;
  final Userfaultfd uffd;
  final long base;
  final long second;
  final Watcher watcher;
  final Fixture fixture;
  final FaultLoop loop;
  final Audit audit;
  final Fixture.SmallLedger ledger = new Fixture.SmallLedger();
  final GivenUp givenUp;
  private final ExecutorService balloon = Executors.newSingleThreadExecutor();
  private final long pageCount;
  private final NativeMemory source;

  TouchedMemory(long pageCount) throws Exception {
    this(pageCount, MarkerKind.UFFD);
  }

  TouchedMemory(long pageCount, MarkerKind kind) throws Exception {
    this(pageCount, kind, OnRemove.KEEP);
  }

  TouchedMemory(long pageCount, MarkerKind kind, OnRemove onRemove) throws Exception {
    this(pageCount, kind, onRemove, MemoryKind.ANONYMOUS);
  }

  TouchedMemory(long pageCount, MemoryKind memory) throws Exception {
    this(pageCount, MarkerKind.UFFD, OnRemove.KEEP, memory);
  }

  TouchedMemory(long pageCount, MarkerKind kind, OnRemove onRemove, MemoryKind memoryKind)
      throws Exception {
    this.pageCount = pageCount;
    GuestMemory memory = map(memoryKind);
    base = memory.hostAddressOf(0);
    second = memory.secondAddressOf(0);
    PoisonMarkers markers = new PoisonMarkers(kernel);
    marker = memoryKind == MemoryKind.HUGETLB ? markers.openForHugePages() : markers.open(kind);
    uffd = Userfaultfd.open(kernel, marker);
    watcher = WatchedKind.watcher(uffd, memory);
    watcher.register(base, Pages.bytes(pageCount));
    source = NativeMemory.allocate((int) Pages.bytes(pageCount));
    for (int i = 0; i < source.sizeBytes(); i += Long.BYTES) {
      source.putLong(i, 0x5eed_0000_0000L + i);
    }
    givenUp = new GivenUp(onRemove, Fixture.layout(pageCount), ledger, balloon);
    fixture = new Fixture(watcher, memory, givenUp);
    if (givenUp.isAllowed()) {
      fixture.resolver.spareGivenBack();
    }
    HugeFaults huge = new HugeFaults(fixture.faults, fixture.givenBack, memoryKind.unitPages());
    loop =
        new FaultLoop(
            uffd,
            fixture.memory,
            fixture.givenBack,
            new FaultLoop.Reactions(
                page -> huge.onFault(page, fixture.failures::add),
                fixture.resolver::giveBackUnresolved,
                () -> {},
                fixture.failures::add),
            fixture);
    fixture.resolver.onPendingEvents(loop::drain);
    audit = audit(Duration.ofMinutes(1));
  }

  /**
   * @param writingMax how long a loss of this host may be on its way into the ledger
   */
  Audit audit(Duration writingMax) {
    return new Audit(
        fixture.memory,
        fixture.table,
        fixture.resolver,
        fixture.givenBack,
        givenUp,
        new MarkerScan(kernel, marker),
        writingMax);
  }

  private GuestMemory map(MemoryKind kind) throws Exception {
    long length = Pages.bytes(pageCount);
    GuestLayout layout = Fixture.layout(pageCount);
    if (kind == MemoryKind.ANONYMOUS) {
      return new GuestMemory(layout, new long[] {kernel.mapAnonymous(length)});
    }
    try (Fd file =
        kind == MemoryKind.HUGETLB
            ? kernel.createHugeMemfd("touched", length)
            : kernel.createMemfd("touched", length)) {
      long[] addresses = {kernel.mapAligned(file, length)};
      return new GuestMemory(layout, kind, addresses, new long[] {kernel.mapAligned(file, length)});
    }
  }

  /** Places the source's bytes in a run, as an answer does. */
  long data(long page, long count) throws ResolveException {
    return fixture.resolver.data(new PageRun(page, count), source.address() + Pages.bytes(page));
  }

  /** Where the bytes lie that belong to a page. */
  long sourceOf(long page) {
    return source.address() + Pages.bytes(page);
  }

  /** Places the source's bytes in a page that the test has claimed. */
  void place(long page) {
    watcher.copy(base + Pages.bytes(page), sourceOf(page), Pages.SIZE_BYTES);
  }

  /** The same from staging memory, as the background stream does. */
  long staged(PageRun run, long stagedAddress) throws ResolveException {
    long length = Pages.bytes(run.pageCount());
    long from = source.address() + Pages.bytes(run.firstPage());
    assertThat(kernel.copy(stagedAddress, from, length)).isEqualTo(length);
    return fixture.resolver.staged(run, stagedAddress);
  }

  /**
   * The same of pages of which some are zeros, as they come.
   *
   * @param data which of them have the source's bytes
   */
  long mixed(PageRun run, BitSet data, long stagedAddress) throws ResolveException {
    NativeMemory bits = NativeMemory.allocate(MixedPages.BITS_BYTES);
    long[] words = data.toLongArray();
    for (int i = 0; i < words.length; i++) {
      bits.putLong(i * Long.BYTES, words[i]);
    }
    kernel.copy(stagedAddress - MixedPages.BITS_BYTES, bits.address(), MixedPages.BITS_BYTES);
    long to = stagedAddress;
    for (int page = data.nextSetBit(0); page >= 0; page = data.nextSetBit(page + 1)) {
      long from = source.address() + Pages.bytes(run.firstPage() + page);
      assertThat(kernel.copy(to, from, Pages.SIZE_BYTES)).isEqualTo(Pages.SIZE_BYTES);
      to += Pages.SIZE_BYTES;
    }
    long address = fixture.memory.layout().addressOf(run.firstPage());
    return fixture.resolver.mixed(
        run, new MixedPages(0, address, (int) run.pageCount(), data, stagedAddress));
  }

  void poison(long page) throws ResolveException {
    assertThat(fixture.table.poison(page)).isTrue();
    ledger.lose(page);
    fixture.resolver.poison(new PageRun(page, 1));
  }

  /** 0, or -EFAULT after SIGBUS; on a thread of its own, which may have to wait. */
  CompletableFuture<Integer> touch(long page) {
    return start(() -> touchNow(page));
  }

  /** On this thread. */
  int touchNow(long page) {
    return kernel.fold(base + Pages.bytes(page), 8, NativeMemory.allocate(8), new SignalInfo());
  }

  MarkerScan scan() {
    return new MarkerScan(kernel, marker);
  }

  CompletableFuture<Integer> discard(long page, long count) {
    return advise(page, count, Linux.MADV_DONTNEED);
  }

  /** Out of the file, where the memory is one. */
  CompletableFuture<Integer> remove(long page, long count) {
    return advise(page, count, Linux.MADV_REMOVE);
  }

  private CompletableFuture<Integer> advise(long page, long count, int advice) {
    return start(() -> kernel.advise(base + Pages.bytes(page), Pages.bytes(count), advice));
  }

  /** What the kernel's page table holds. */
  MarkerScan.Real real(long page) throws Exception {
    MarkerScan.Real[] found = new MarkerScan.Real[1];
    scan().scan(base + Pages.bytes(page), page, 1, (visited, real) -> found[0] = real);
    return found[0];
  }

  boolean isPoisoned(long page) {
    return kernel.advise(base + Pages.bytes(page), Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)
        == -Errno.EHWPOISON.intValue();
  }

  /** Whether a page that is present holds its source's bytes. */
  boolean holdsItsBytes(long page) {
    return java.util.Arrays.equals(
        read(page), source.getBytes((int) Pages.bytes(page), Pages.SIZE_BYTES));
  }

  boolean holdsZeros(long page) {
    return java.util.Arrays.equals(read(page), new byte[Pages.SIZE_BYTES]);
  }

  private byte[] read(long page) {
    return readAt(base + Pages.bytes(page));
  }

  byte[] readAt(long address) {
    NativeMemory target = NativeMemory.allocate(Pages.SIZE_BYTES);
    assertThat(kernel.copy(target.address(), address, Pages.SIZE_BYTES))
        .isEqualTo(Pages.SIZE_BYTES);
    return target.getBytes(0, Pages.SIZE_BYTES);
  }

  /** Daemon threads, so that one that hangs cannot keep a failed test from ending. */
  static <T> CompletableFuture<T> start(Callable<T> work) {
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

  static void awaitThat(BooleanSupplier condition, String what) throws Exception {
    long deadline = System.nanoTime() + PATIENCE_NANOS;
    while (!condition.getAsBoolean()) {
      if (System.nanoTime() > deadline) {
        fail("waited in vain for " + what);
      }
      Thread.sleep(1);
    }
  }

  /** The descriptor first: that wakes every thread that still waits. */
  @Override
  public void close() {
    balloon.shutdown();
    loop.end();
    uffd.close();
    marker.close();
    kernel.unmap(base, Pages.bytes(pageCount));
    if (second != base) {
      kernel.unmap(second, Pages.bytes(pageCount));
    }
  }
}
