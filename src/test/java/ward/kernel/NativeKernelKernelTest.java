package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.ref.WeakReference;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.EventBatch;
import ward.uffd.Userfaultfd;

/** How the seam answers for memory that is poisoned: page 2 of 5; page 4 is missing. */
@RequiresUserfaultfd
@Timeout(60)
class NativeKernelKernelTest {

  private static final int PAGE = 4096;
  private static final long LENGTH = 5 * PAGE;

  private final NativeKernel kernel = NativeKernel.load();
  private final NativeMemory target = NativeMemory.allocate((int) LENGTH);
  private final NativeMemory source = NativeMemory.allocate((int) LENGTH);
  private Userfaultfd uffd;
  private long base;
  private long poisoned;

  @BeforeEach
  void poisonOnePage() throws Exception {
    for (int i = 0; i < LENGTH; i += Long.BYTES) {
      source.putLong(i, ~i);
    }
    base = kernel.mapAnonymous(LENGTH);
    poisoned = base + 2 * PAGE;
    uffd = Userfaultfd.open(kernel);
    uffd.register(base, LENGTH);
    uffd.copy(base, source.address(), 2 * PAGE);
    uffd.poison(poisoned, PAGE);
    uffd.copy(base + 3 * PAGE, source.address() + 3 * PAGE, PAGE);
  }

  @AfterEach
  void giveBack() {
    uffd.close();
    kernel.unmap(base, LENGTH);
  }

  @Test
  void aCopyEndsBeforeThePoison() {
    long copied = kernel.copy(target.address(), base, 4 * PAGE);

    assertThat(copied).isEqualTo(2 * PAGE);
    assertThat(target.getBytes(0, 2 * PAGE)).isEqualTo(source.getBytes(0, 2 * PAGE));
    assertThat(target.getBytes(2 * PAGE, 2 * PAGE)).containsOnly(0);
  }

  @Test
  void aCopyThatBeginsInPoisonIsAFault() {
    long copied = kernel.copy(target.address(), poisoned + 0x18, 2 * PAGE);

    assertThat(copied).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(target.getBytes(0, (int) LENGTH)).containsOnly(0);
  }

  @Test
  void aLoadEndsAtThePageThatIsPoisonedAndWorksAgain() {
    for (int i = 0; i < 1000; i++) {
      long loaded = kernel.load(target.address(), base, LENGTH);

      assertThat(loaded).isEqualTo(poisoned - base);
    }

    assertThat(target.getBytes(0, (int) (poisoned - base)))
        .isEqualTo(source.getBytes(0, (int) (poisoned - base)));
    assertThat(target.getBytes((int) (poisoned - base), PAGE)).containsOnly(0);
  }

  @Test
  void aLoadThatBeginsInPoisonIsAFault() {
    assertThat(kernel.load(target.address(), poisoned, 2 * PAGE))
        .isEqualTo(-Errno.EFAULT.intValue());
  }

  @Test
  void aLoadOfHealthyPagesIsWhole() {
    assertThat(kernel.load(target.address(), source.address(), LENGTH)).isEqualTo(LENGTH);
    assertThat(target.getBytes(0, (int) LENGTH)).isEqualTo(source.getBytes(0, (int) LENGTH));
  }

  @Test
  void aCopyIntoPoisonIsAFault() {
    assertThat(kernel.copy(poisoned, source.address(), PAGE)).isEqualTo(-Errno.EFAULT.intValue());
  }

  @Test
  void foldingIntoPoisonSaysAtWhichWord() {
    NativeMemory hash = NativeMemory.allocate(Long.BYTES);
    SignalInfo fault = new SignalInfo();

    int answer = kernel.fold(base + PAGE, 3 * PAGE, hash, fault);

    assertThat(answer).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(fault.address()).isEqualTo(poisoned);
    assertThat(fault.code()).isIn(Linux.BUS_ADRERR, Linux.BUS_MCEERR_AR);
    assertThat(hash.getLong(0)).as("no hash of half a range").isZero();
  }

  @Test
  void foldingWorksAgainAfterEachFault() {
    NativeMemory hash = NativeMemory.allocate(Long.BYTES);
    NativeMemory expected = NativeMemory.allocate(Long.BYTES);
    SignalInfo fault = new SignalInfo();
    kernel.fold(source.address() + 3 * PAGE, PAGE, expected, fault);

    for (int i = 0; i < 1000; i++) {
      long address = poisoned + i % 512 * Long.BYTES;
      assertThat(kernel.fold(address, Long.BYTES, hash, fault)).isEqualTo(-Errno.EFAULT.intValue());
      assertThat(fault.address()).isEqualTo(address);
    }

    assertThat(kernel.fold(base + 3 * PAGE, PAGE, hash, fault)).isZero();
    assertThat(hash.getLong(0)).isEqualTo(expected.getLong(0));
  }

  /** A compiled frame forgets an object after its last use, which is before the call returns. */
  @Test
  void aFoldThatWaitsKeepsItsBlocksFromTheCollector() throws Exception {
    for (int i = 0; i < 20_000; i++) {
      kernel.fold(base, Long.BYTES, target, new SignalInfo());
    }
    CompletableFuture<WeakReference<NativeMemory>> started = new CompletableFuture<>();
    CompletableFuture<Integer> folded =
        CompletableFuture.supplyAsync(() -> foldForgetfully(base + 4 * PAGE, started));
    WeakReference<NativeMemory> hash = started.get(20, TimeUnit.SECONDS);
    EventBatch fault = new EventBatch(1);
    while (uffd.readEvents(fault) == 0) {
      Thread.sleep(1);
    }

    System.gc();
    boolean keptAlive = hash.get() != null;
    uffd.zero(fault.address(0), PAGE);

    assertThat(folded.get(20, TimeUnit.SECONDS)).isZero();
    assertThat(keptAlive).isTrue();
  }

  /** No local variable holds the blocks: an interpreted frame would keep those alive. */
  private int foldForgetfully(
      long address, CompletableFuture<WeakReference<NativeMemory>> started) {
    return kernel.fold(address, Long.BYTES, watched(started), new SignalInfo());
  }

  private static NativeMemory watched(CompletableFuture<WeakReference<NativeMemory>> started) {
    NativeMemory hash = NativeMemory.allocate(Long.BYTES);
    started.complete(new WeakReference<>(hash));
    return hash;
  }

  @Test
  void onlyPopulatingNamesPoison() {
    int ofThePage = kernel.advise(poisoned, PAGE, Linux.MADV_POPULATE_READ);
    int ofTheRange = kernel.advise(base, 4 * PAGE, Linux.MADV_POPULATE_READ);
    int ofThePagesBefore = kernel.advise(base, 2 * PAGE, Linux.MADV_POPULATE_READ);

    assertThat(ofThePage).isEqualTo(-Errno.EHWPOISON.intValue());
    assertThat(ofTheRange).isEqualTo(-Errno.EHWPOISON.intValue());
    assertThat(ofThePagesBefore).isZero();
  }
}
