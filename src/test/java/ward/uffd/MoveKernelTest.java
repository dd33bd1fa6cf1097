package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assumptions.assumeThat;

import java.io.RandomAccessFile;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.Fd;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.StagingMemory;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.FillResult.Outcome;

/** Huge pages on their way from staging memory into registered memory, by this machine's kernel. */
@RequiresUserfaultfd
@Timeout(120)
class MoveKernelTest {

  private static final int HUGE = StagingMemory.BODY_BYTES;
  private static final int PAGES = HUGE / Pages.SIZE_BYTES;
  private static final long MAPPED_BYTES = 4L * HUGE;
  private static final int ROUNDS = 100;

  private final NativeKernel kernel = NativeKernel.load();
  private final NativeMemory expected = NativeMemory.allocate(HUGE);
  private StagingMemory staging;
  private long stagedAddress;
  private long mapped;
  private long guest;
  private Userfaultfd uffd;

  @BeforeEach
  void open() throws Exception {
    assumeThat(Feature.in(Userfaultfd.offeredFeatures(kernel))).contains(Feature.MOVE);
    for (int i = 0; i < HUGE; i += Long.BYTES) {
      expected.putLong(i, 0x5eed_0000_0000L + i);
    }
    staging = StagingMemory.map(kernel);
    stagedAddress = NativeMemory.of(staging.bytes()).address() + StagingMemory.LEAD_BYTES;
    uffd = Userfaultfd.open(kernel);
    register(kernel.mapAnonymous(MAPPED_BYTES));
    stage();
  }

  private void register(long address) throws Exception {
    mapped = address;
    guest = (address + HUGE - 1) & -HUGE;
    uffd.register(guest, HUGE);
  }

  @AfterEach
  void close() {
    if (uffd != null) {
      uffd.close();
      kernel.unmap(mapped, MAPPED_BYTES);
      staging.close();
    }
  }

  private void stage() {
    assertThat(kernel.copy(stagedAddress, expected.address(), HUGE)).isEqualTo(HUGE);
  }

  private long page(int index) {
    return guest + Pages.bytes(index);
  }

  private boolean isMarker(int page) {
    return kernel.advise(page(page), Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)
        == -Errno.EHWPOISON.intValue();
  }

  private void assertHoldItsBytes(int from, int to) {
    NativeMemory found = NativeMemory.allocate(HUGE);
    long lengthBytes = Pages.bytes(to - from);
    assertThat(kernel.copy(found.address(), page(from), lengthBytes)).isEqualTo(lengthBytes);
    assertThat(found.getBytes(0, (int) lengthBytes))
        .isEqualTo(expected.getBytes((int) Pages.bytes(from), (int) lengthBytes));
  }

  private static boolean isPresent(long address) throws Exception {
    try (RandomAccessFile pagemap = new RandomAccessFile("/proc/self/pagemap", "r")) {
      byte[] entry = new byte[Long.BYTES];
      pagemap.seek((address >>> Pages.SHIFT) * Long.BYTES);
      pagemap.readFully(entry);
      return (ByteBuffer.wrap(entry).order(ByteOrder.LITTLE_ENDIAN).getLong() & MarkerScan.PRESENT)
          != 0;
    }
  }

  /** KiB of the mapping that begins at an address. */
  private static long hugeKib(long address) throws Exception {
    boolean inside = false;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        inside = line.startsWith(Long.toHexString(address) + "-");
      } else if (inside && line.startsWith("AnonHugePages:")) {
        return Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    throw new AssertionError("no mapping begins at 0x%x".formatted(address));
  }

  @Test
  void aHugePageGoesFromStagingIntoTheGuestAsAWhole() throws Exception {
    long stagedHugeKib = hugeKib(stagedAddress);

    FillResult taken = uffd.take(guest, stagedAddress, HUGE);

    assertThat(taken).isEqualTo(new FillResult(Outcome.COMPLETED, HUGE, 0));
    assertThat(isPresent(stagedAddress)).as("a page left behind").isFalse();
    assertThat(hugeKib(guest)).isEqualTo(stagedHugeKib);
    assertHoldItsBytes(0, PAGES);
  }

  @Test
  void stagingCanBeFilledAgain() throws Exception {
    uffd.take(guest, stagedAddress, HUGE);

    stage();

    assertThat(isPresent(stagedAddress)).isTrue();
    assertHoldItsBytes(0, PAGES);
  }

  @Test
  void whatIsLessThanAHugePageIsCopied() throws Exception {
    FillResult taken = uffd.take(page(1), stagedAddress + Pages.SIZE_BYTES, Pages.bytes(9));

    assertThat(taken.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(isPresent(stagedAddress + Pages.SIZE_BYTES)).as("left in staging").isTrue();
    assertHoldItsBytes(1, 10);
  }

  @Test
  void aMarkerOnTheFirstPageIsNeverHealed() {
    uffd.poison(guest, Pages.SIZE_BYTES);

    FillResult taken = uffd.take(guest, stagedAddress, HUGE);

    assertThat(taken)
        .isEqualTo(new FillResult(Outcome.ALREADY_RESOLVED, 0, Errno.EEXIST.intValue()));
    assertThat(isMarker(0)).isTrue();
  }

  @Test
  void aMarkerInTheMiddleEndsTheMoveAndTheRestCanStillBeCopied() throws Exception {
    uffd.poison(page(7), Pages.SIZE_BYTES);

    FillResult taken = uffd.take(guest, stagedAddress, HUGE);
    FillResult rest = uffd.take(page(8), stagedAddress + Pages.bytes(8), HUGE - Pages.bytes(8));

    assertThat(taken)
        .isEqualTo(new FillResult(Outcome.INTERRUPTED, Pages.bytes(7), Errno.EAGAIN.intValue()));
    assertThat(rest.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(isMarker(7)).isTrue();
    assertHoldItsBytes(0, 7);
    assertHoldItsBytes(8, PAGES);
  }

  @Test
  void aPageThatIsThereStaysAsItIs() {
    NativeMemory other = NativeMemory.allocate(Pages.SIZE_BYTES);
    other.putLong(0, 42);
    uffd.copy(guest, other.address(), Pages.SIZE_BYTES);

    FillResult taken = uffd.take(guest, stagedAddress, HUGE);

    NativeMemory found = NativeMemory.allocate(Pages.SIZE_BYTES);
    kernel.copy(found.address(), guest, Pages.SIZE_BYTES);
    assertThat(taken.outcome()).isEqualTo(Outcome.ALREADY_RESOLVED);
    assertThat(found.getLong(0)).isEqualTo(42);
  }

  @Test
  void intoSharedMemoryPagesAreCopied() throws Exception {
    uffd.close();
    kernel.unmap(mapped, MAPPED_BYTES);
    uffd = Userfaultfd.open(kernel);
    try (Fd memfd = kernel.createMemfd("shared", MAPPED_BYTES)) {
      register(kernel.mapShared(memfd, 0, MAPPED_BYTES, Linux.PROT_READ | Linux.PROT_WRITE));
    }

    FillResult taken = uffd.take(guest, stagedAddress, HUGE);

    assertThat(taken.outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(isPresent(stagedAddress)).as("left in staging").isTrue();
    assertHoldItsBytes(0, PAGES);
  }

  /** Without the claims that keep them apart in a migration: the kernel alone loses no marker. */
  @Test
  void noMarkerIsLostThatIsPlacedWhileAHugePageIsMoved() throws Exception {
    Random random = new Random(7);
    for (int round = 0; round < ROUNDS; round++) {
      int lost = random.nextInt(PAGES);
      CyclicBarrier together = new CyclicBarrier(2);
      CompletableFuture<FillResult> poisoning =
          CompletableFuture.supplyAsync(
              () -> {
                meet(together);
                return uffd.poison(page(lost), Pages.SIZE_BYTES);
              });
      meet(together);

      FillResult moved = uffd.move(guest, stagedAddress, HUGE);
      FillResult poisoned = WatchedMemory.await(poisoning);

      assertMarkerOrBytes(lost, moved, poisoned);
      kernel.advise(stagedAddress, HUGE, Linux.MADV_DONTNEED);
      startOver();
    }
  }

  private static void meet(CyclicBarrier others) {
    try {
      others.await(30, TimeUnit.SECONDS);
    } catch (Exception e) {
      throw new IllegalStateException(e);
    }
  }

  private void assertMarkerOrBytes(int lost, FillResult moved, FillResult poisoned) {
    boolean marked = poisoned.outcome() == Outcome.COMPLETED;
    assertThat(isMarker(lost)).as("page %d: %s, %s", lost, moved, poisoned).isEqualTo(marked);
    if (marked) {
      assertThat(moved.outcome()).isNotEqualTo(Outcome.COMPLETED);
      assertThat(moved.doneBytes()).isLessThanOrEqualTo(Pages.bytes(lost));
    } else {
      assertThat(poisoned.outcome()).isIn(Outcome.ALREADY_RESOLVED, Outcome.INTERRUPTED);
    }
    assertHoldItsBytes(0, (int) (moved.doneBytes() >>> Pages.SHIFT));
  }

  /** Fresh memory: giving this back would wait for somebody to read the event. */
  private void startOver() throws Exception {
    uffd.close();
    kernel.unmap(mapped, MAPPED_BYTES);
    uffd = Userfaultfd.open(kernel);
    register(kernel.mapAnonymous(MAPPED_BYTES));
    stage();
  }
}
