package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.fail;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.guest.GuestMemory;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.poison.Severity;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.EventBatch;
import ward.uffd.Userfaultfd;
import ward.vcpu.GhesErrorSource.Delivery;
import ward.vcpu.GhesSource.Notification;

/**
 * Error records in memory that a migration is still bringing: registers at GPA 0, a block each page
 * after.
 */
@RequiresUserfaultfd
@Timeout(60)
class GhesErrorSourceKernelTest {

  private static final long POLL_NANOS = 50_000;
  private static final int PAGE = Pages.SIZE_BYTES;
  private static final int PAGE_COUNT = 3;
  private static final long LENGTH = Pages.bytes(PAGE_COUNT);
  private static final int READ_ACK = 0x10;
  private static final int RECORD_BYTES = 172;
  private static final int PHYSICAL_ADDRESS = 20 + 72 + 16;

  private final NativeKernel kernel = NativeKernel.load();
  private final NativeMemory acknowledged = NativeMemory.allocate(PAGE);
  private final NativeMemory guestBuffer = NativeMemory.allocate(PAGE);
  private Userfaultfd uffd;
  private long base;
  private ErrorStatusBlock block;
  private GhesErrorSource source;

  @BeforeEach
  void registerMemory() throws Exception {
    acknowledged.putLong(READ_ACK, 1);
    base = kernel.mapAnonymous(LENGTH);
    uffd = Userfaultfd.open(kernel);
    uffd.register(base, LENGTH);
    GuestMemory memory =
        new GuestMemory(
            new GuestLayout("watched", List.of(new GuestRegion(0, LENGTH, 0))), new long[] {base});
    GhesSource place =
        new GhesSource(Notification.SYNCHRONOUS_EXTERNAL_ABORT, 8, READ_ACK, PAGE, 1024);
    block = new ErrorStatusBlock(kernel, memory, place);
    source = new GhesErrorSource(block, System::nanoTime);
  }

  @AfterEach
  void giveBack() {
    uffd.close();
    kernel.unmap(base, LENGTH);
  }

  private static MemoryError error(int vcpu, long gpa) {
    return new MemoryError(
        OptionalLong.of(gpa),
        Severity.ACTION_REQUIRED,
        12,
        MemoryError.Input.SIGBUS_ACTION_REQUIRED,
        vcpu);
  }

  private static <T> CompletableFuture<T> start(Callable<T> work) {
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
            "ghes-test");
    thread.setDaemon(true);
    thread.start();
    return result;
  }

  private long nextFault() throws Exception {
    EventBatch batch = new EventBatch(1);
    while (uffd.readEvents(batch) == 0) {
      Thread.sleep(1);
    }
    return Pages.align(batch.address(0)) - base;
  }

  private void bringRegisters() {
    uffd.copy(base, acknowledged.address(), PAGE);
  }

  private void bringBlock() {
    uffd.zero(base + PAGE, PAGE);
  }

  private byte[] read(long gpa, int lengthBytes) {
    NativeMemory target = NativeMemory.allocate(lengthBytes);
    assertThat(kernel.copy(target.address(), base + gpa, lengthBytes)).isEqualTo(lengthBytes);
    return target.getBytes(0, lengthBytes);
  }

  /** A collection would hang if a thread waited for a page in Java code. */
  @Test
  void aRecordWaitsForItsPagesOutsideJavaAndIsThenWhole() throws Exception {
    CompletableFuture<Delivery> delivery = start(() -> source.deliver(error(0, 0x5000)));

    long firstFault = nextFault();
    System.gc();
    assertThat(delivery).isNotDone();
    bringRegisters();
    long secondFault = nextFault();
    System.gc();
    assertThat(delivery).isNotDone();
    bringBlock();

    assertThat(firstFault).isEqualTo(0);
    assertThat(secondFault).isEqualTo(PAGE);
    assertThat(delivery.get(20, TimeUnit.SECONDS)).isEqualTo(Delivery.WRITTEN);
    assertThat(read(PAGE, RECORD_BYTES))
        .containsExactly(new ErrorRecord(List.of(error(0, 0x5000))).toBytes());
    assertThat(read(READ_ACK, Long.BYTES)).containsOnly(0);
  }

  @Test
  void otherVcpusAreNotHeldUpByTheOneThatWaitsForAPage() throws Exception {
    CompletableFuture<Delivery> first = start(() -> source.deliver(error(0, 0x5000)));
    nextFault();

    Delivery second = start(() -> source.deliver(error(1, 0x6000))).get(20, TimeUnit.SECONDS);
    Thread.sleep(TimeUnit.NANOSECONDS.toMillis(GhesErrorSource.PLACE_KEPT_NANOS) + 1);
    Delivery later = start(() -> source.deliver(error(1, 0x6000))).get(20, TimeUnit.SECONDS);

    assertThat(second).isEqualTo(Delivery.WAITS);
    assertThat(later).as("a thread that waits for a page keeps its place").isEqualTo(second);
    assertThat(first).isNotDone();
    bringRegisters();
    bringBlock();
    assertThat(first.get(20, TimeUnit.SECONDS)).isEqualTo(Delivery.WRITTEN);
  }

  @Test
  void aPoisonedBlockIsAnAnswerAndNotASignal() {
    bringRegisters();
    uffd.poison(base + PAGE, PAGE);

    assertThat(source.deliver(error(0, 0x5000))).isEqualTo(Delivery.IMPOSSIBLE);
    assertThat(read(READ_ACK, 1)).containsExactly(1);
  }

  @Test
  void aReadAckRegisterThatArrivesPoisonedIsAnAnswerAndNotASignal() throws Exception {
    CompletableFuture<Delivery> delivery = start(() -> source.deliver(error(0, 0x5000)));
    nextFault();

    uffd.poison(base, PAGE);

    assertThat(delivery.get(20, TimeUnit.SECONDS)).isEqualTo(Delivery.IMPOSSIBLE);
  }

  /**
   * Three vCPUs, each with a hundred errors of its own, and a guest that reads as Linux does: clear
   * the block status, then acknowledge. Every record arrives once, whole, in its vCPU's order.
   */
  @Test
  void everyRecordOfThreeVcpusArrivesOnceAndWhole() throws Exception {
    // No clock: on a busy machine a thread may stand still for longer than a guest may.
    source = new GhesErrorSource(block, () -> 0);
    bringRegisters();
    bringBlock();
    int vcpus = 3;
    int errorsEach = 100;
    List<CompletableFuture<Integer>> writers = new ArrayList<>();
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      int index = vcpu;
      writers.add(start(() -> deliverAll(index, errorsEach)));
    }

    Map<Long, List<Long>> received = new HashMap<>();
    for (int i = 0; i < vcpus * errorsEach; i++) {
      long gpa = takeRecord();
      received.computeIfAbsent(gpa >>> 32, vcpu -> new ArrayList<>()).add(gpa);
    }

    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      assertThat(writers.get(vcpu).get(20, TimeUnit.SECONDS)).isEqualTo(errorsEach);
      assertThat(received.get((long) vcpu))
          .as("errors of vCPU %d", vcpu)
          .hasSize(errorsEach)
          .isSorted()
          .doesNotHaveDuplicates();
    }
    assertThat(blockStatus()).isZero();
  }

  private int deliverAll(int vcpu, int count) throws InterruptedException {
    int written = 0;
    while (written < count) {
      switch (source.deliver(error(vcpu, gpa(vcpu, written)))) {
        case WRITTEN -> written++;
        case WAITS -> LockSupport.parkNanos(POLL_NANOS);
        case IMPOSSIBLE -> fail("a guest that acknowledges was given up");
      }
    }
    return written;
  }

  private static long gpa(int vcpu, int number) {
    return ((long) vcpu << 32) + Pages.bytes(number + 1);
  }

  private long takeRecord() {
    while (blockStatus() == 0) {
      LockSupport.parkNanos(POLL_NANOS);
    }
    byte[] record = read(PAGE, RECORD_BYTES);
    guestBuffer.putBytes(0, record);
    long gpa = guestBuffer.getLong(PHYSICAL_ADDRESS);
    assertThat(record)
        .containsExactly(new ErrorRecord(List.of(error((int) (gpa >>> 32), gpa))).toBytes());
    guestBuffer.putLong(0, 0);
    kernel.copy(base + PAGE, guestBuffer.address(), Integer.BYTES);
    guestBuffer.putLong(0, 1);
    kernel.copy(base + READ_ACK, guestBuffer.address(), Long.BYTES);
    return gpa;
  }

  private int blockStatus() {
    kernel.copy(guestBuffer.address(), base + PAGE, Integer.BYTES);
    return guestBuffer.getInt(0);
  }
}
