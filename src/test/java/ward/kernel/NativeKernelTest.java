package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** The calls that any Linux permits. */
@Timeout(30)
class NativeKernelTest {

  private static final int PAGE = 4096;
  private static final int SIGUSR1 = 10;

  private final NativeKernel kernel = NativeKernel.load();
  private final NativeMemory out = NativeMemory.allocate(PAGE);
  private final NativeMemory back = NativeMemory.allocate(PAGE);

  @Test
  void namesTheListThatLacksAConstant() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> NativeKernel.constant("UFFDIO_NONSENSE"))
        .withMessage("native-stubs/constants.c does not list UFFDIO_NONSENSE");
  }

  @Test
  void namesThePathThatCannotBeOpened() {
    assertThatExceptionOfType(KernelCallException.class)
        .isThrownBy(() -> kernel.open("/no/such/file", Linux.O_RDONLY))
        .withMessage("open on /no/such/file failed: ENOENT (No such file or directory)");
  }

  @Test
  void namesTheMappingThatCannotBeMade() {
    assertThatExceptionOfType(KernelCallException.class)
        .isThrownBy(() -> kernel.mapAnonymous(0))
        .withMessageStartingWith("mmap on 0 bytes of anonymous memory failed: EINVAL");
  }

  @Test
  void answersErrnosOfCallsThatOpenNothing() throws Exception {
    try (Fd file = kernel.open("/dev/null", Linux.O_RDWR)) {
      Ioctl nonsense = Ioctl.plain("NONSENSE", 0xAA, 0x77);

      assertThat(kernel.ioctl(file, nonsense, 0)).isEqualTo(-Errno.ENOTTY.intValue());
      assertThat(kernel.read(file, back.address(), 8)).isZero();
      assertThat(kernel.advise(1, PAGE, Linux.MADV_DONTNEED)).isEqualTo(-Errno.EINVAL.intValue());
    }
  }

  @Test
  void twoMappingsOfAMemfdShowTheSameBytes() throws Exception {
    int protection = Linux.PROT_READ | Linux.PROT_WRITE;
    out.putLong(0, 0x1122334455667788L);
    try (Fd file = kernel.createMemfd("test", 2 * PAGE)) {
      long whole = kernel.mapShared(file, 0, 2 * PAGE, protection);
      long second = kernel.mapShared(file, PAGE, PAGE, protection);

      kernel.copy(whole + PAGE + 16, out.address(), 8);
      kernel.copy(back.address(), second + 16, 8);

      assertThat(back.getLong(0)).isEqualTo(0x1122334455667788L);
      assertThat(kernel.unmap(whole, 2 * PAGE)).isZero();
      assertThat(kernel.unmap(second, PAGE)).isZero();
    }
  }

  @Test
  void copyingFromMemoryThatIsNotMappedIsAnAnswer() throws Exception {
    long gone = kernel.mapAnonymous(PAGE);
    kernel.unmap(gone, PAGE);

    assertThat(kernel.copy(back.address(), gone, 8)).isEqualTo(-Errno.EFAULT.intValue());
  }

  @Test
  void foldsEveryWordInOrder() {
    out.putLong(0, 7);
    out.putLong(8, -1);
    out.putLong(16, 0x123456789abcdefL);
    NativeMemory hash = NativeMemory.allocate(8);
    hash.putLong(0, 42);

    int answer = kernel.fold(out.address(), 24, hash, new SignalInfo());

    long expected = folded(folded(folded(42, 7), -1), 0x123456789abcdefL);
    assertThat(answer).isZero();
    assertThat(hash.getLong(0)).isEqualTo(expected);
  }

  private static long folded(long hash, long word) {
    long mixed = (hash ^ word) * 0x9e3779b97f4a7c15L;
    return mixed ^ mixed >>> 32;
  }

  @Test
  void takesASignalThatIsBlocked() {
    long mask = Linux.signalBit(SIGUSR1);
    assertThat(kernel.blockSignals(mask)).isZero();

    assertThat(kernel.takeSignal(mask, new SignalInfo(), 0)).isEqualTo(-Errno.EAGAIN.intValue());
    assertThat(kernel.signalThread(kernel.threadId(), SIGUSR1)).isZero();

    assertThat(kernel.takeSignal(mask, new SignalInfo(), 1_000_000_000)).isEqualTo(SIGUSR1);
  }

  @Test
  void answersThatAThreadIsGone() {
    int beyondPidMax = 1 << 23;

    assertThat(kernel.signalThread(beyondPidMax, SIGUSR1)).isEqualTo(-Errno.ESRCH.intValue());
  }
}
