package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import jnr.constants.platform.Errno;
import org.assertj.core.api.Assertions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;
import ward.uffd.FillResult.Outcome;
import ward.uffd.UserfaultfdException.Kind;

class UserfaultfdTest {

  private static final int PAGE = 4096;
  private static final long HUGE = 2 << 20;

  private final FakeKernel kernel = new FakeKernel();

  @Test
  void opensByTheSystemCallAndAsksForWhatItNeeds() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);

    assertThat(kernel.open).containsExactly(uffd.toString());
    assertThat(kernel.calls).doesNotContain("open");
    assertThat(Feature.in(kernel.enabledFeatures))
        .containsExactlyInAnyOrder(Feature.POISON, Feature.EVENT_REMOVE, Feature.THREAD_ID);
  }

  @Test
  void asksOnlyForWhatTheKernelOffers() throws Exception {
    kernel.offeredFeatures = Feature.POISON.bit() | Feature.EVENT_REMOVE.bit();

    Userfaultfd.open(kernel).close();

    assertThat(kernel.enabledFeatures).isEqualTo(kernel.offeredFeatures);
  }

  @Test
  void opensThroughTheNodeWhereTheSystemCallIsNotPermitted() throws Exception {
    kernel.userfaultfdErrno = Errno.EPERM;

    Userfaultfd uffd = Userfaultfd.open(kernel);

    assertThat(kernel.calls).contains("USERFAULTFD_IOC_NEW /dev/userfaultfd#3");
    assertThat(kernel.open).containsExactly(uffd.toString());
  }

  @Test
  void namesEveryRemedyWhenNothingIsPermitted() {
    kernel.userfaultfdErrno = Errno.EPERM;
    kernel.nodeErrno = Errno.EACCES;

    UserfaultfdException e = opening();

    assertThat(e.kind()).isEqualTo(Kind.NOT_PERMITTED);
    assertThat(e)
        .hasMessageContaining("userfaultfd(2) on this process failed: EPERM")
        .hasMessageContaining("open on /dev/userfaultfd failed: EACCES")
        .hasMessageContaining("CAP_SYS_PTRACE")
        .hasMessageContaining("vm.unprivileged_userfaultfd=1")
        .hasMessageContaining("read and write access to /dev/userfaultfd");
  }

  @Test
  void closesTheNodeThatRefusesToMakeADescriptor() {
    kernel.userfaultfdErrno = Errno.EPERM;
    kernel.nodeIoctlErrno = Errno.EMFILE;

    UserfaultfdException e = opening();

    assertThat(e).hasMessageContaining("USERFAULTFD_IOC_NEW on /dev/userfaultfd#3 failed: EMFILE");
    assertThat(kernel.open).isEmpty();
  }

  @Test
  void namesTheKernelThatHasPoisonWhenThisOneHasNot() {
    kernel.offeredFeatures = Feature.EVENT_REMOVE.bit();

    UserfaultfdException e = opening();

    assertThat(e.kind()).isEqualTo(Kind.NOT_SUPPORTED);
    assertThat(e)
        .hasMessage(
            "this kernel's userfaultfd offers features 0x8, without UFFD_FEATURE_POISON (0x4000):"
                + " it cannot mark lost pages. Run Linux 6.6 or later, or mark them in another way");
    assertThat(kernel.open).isEmpty();
  }

  @Test
  void namesTheBuildOptionOnAKernelWithoutUserfaultfd() {
    kernel.userfaultfdErrno = Errno.ENOSYS;

    UserfaultfdException e = opening();

    assertThat(e.kind()).isEqualTo(Kind.NOT_SUPPORTED);
    assertThat(e).hasMessageContaining("CONFIG_USERFAULTFD=y");
  }

  @Test
  void leavesNoDescriptorBehindAFailedHandshake() {
    kernel.handshakeErrno = Errno.EINVAL;

    UserfaultfdException e = opening();

    assertThat(e.kind()).isEqualTo(Kind.FAILED);
    assertThat(e).hasMessageStartingWith("UFFDIO_API on userfaultfd#3 with api 0xaa");
    assertThat(kernel.open).isEmpty();
  }

  private UserfaultfdException opening() {
    return catchThrowableOfType(UserfaultfdException.class, () -> Userfaultfd.open(kernel));
  }

  @Test
  void reportsTheOfferedFeaturesAlsoWithoutPoison() throws Exception {
    kernel.offeredFeatures = 0x1ff;

    assertThat(Userfaultfd.offeredFeatures(kernel)).isEqualTo(0x1ff);
    assertThat(kernel.open).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({
    "EAGAIN, 8192, INTERRUPTED, 8192",
    "EAGAIN, -11, INTERRUPTED, 0",
    "EAGAIN, 0, INTERRUPTED, 0",
    "EEXIST, -17, ALREADY_RESOLVED, 0",
    "ENOENT, -2, UNREGISTERED, 0",
    "ESRCH, 0, PROCESS_GONE, 0",
    "ENOSPC, -28, PROCESS_GONE, 0",
    "ENOMEM, -12, OUT_OF_MEMORY, 0",
    "EINVAL, 0, REFUSED, 0",
    "EFAULT, -14, REFUSED, 0",
  })
  void turnsEveryErrnoOfAFillIntoAnOutcome(
      Errno errno, long reported, Outcome outcome, long doneBytes) throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    FillResult expected = new FillResult(outcome, doneBytes, errno.intValue());
    for (int i = 0; i < FillRequest.values().length; i++) {
      kernel.thenFill(errno, reported);
    }

    assertThat(uffd.copy(0x70000, 0x1234, 4 * PAGE)).isEqualTo(expected);
    assertThat(uffd.zero(0x70000, 4 * PAGE)).isEqualTo(expected);
    assertThat(uffd.poison(0x70000, 4 * PAGE)).isEqualTo(expected);
    assertThat(uffd.continueRange(0x70000, 4 * PAGE)).isEqualTo(expected);
  }

  @Test
  void reportsTheWholeRangeWhenCompleted() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(2 * PAGE);

    assertThat(uffd.poison(0x70000, 2 * PAGE))
        .isEqualTo(new FillResult(Outcome.COMPLETED, 2 * PAGE, 0));
  }

  @Test
  void laysOutACopyAsTheHeaderDoes() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(PAGE);

    uffd.copy(0x70000, 0x1234, PAGE);

    assertThat(kernel.fillArgument).isEqualTo(longs(0x70000, 0x1234, PAGE, 0));
  }

  @Test
  void laysOutAPoisonAsTheHeaderDoesAlsoAfterACopy() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(PAGE);
    kernel.thenFill(PAGE);

    uffd.copy(0x70000, 0x1234, PAGE);
    uffd.poison(0x71000, 2 * PAGE);

    assertThat(kernel.fillArgument).isEqualTo(longs(0x71000, 2 * PAGE, 0));
  }

  @Test
  void clearsTheOutputFieldSoThatAnOldCountIsNeverProgress() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(Errno.EAGAIN, 8192);
    kernel.thenFill(Errno.EINVAL, 0);

    uffd.zero(0x70000, 4 * PAGE);
    uffd.zero(0x70000, 4 * PAGE);

    assertThat(kernel.doneBefore).isZero();
  }

  @Test
  void registersOrdinaryMemory() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);

    uffd.register(0x70000, PAGE);

    assertThat(kernel.calls).last().isEqualTo("UFFDIO_REGISTER " + uffd);
  }

  @Test
  void undoesTheRegistrationOfHugePagesAndSaysWhatToDo() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.rangeIoctls = 0x10c;

    UserfaultfdException e = registering(uffd);

    assertThat(e.kind()).isEqualTo(Kind.NOT_SUPPORTED);
    assertThat(e)
        .hasMessage(
            "the range of 4096 bytes at 0x70000 does not take UFFDIO_ZEROPAGE (ioctls 0x10c); it is"
                + " backed by hugetlbfs, which cannot be filled by 4 KiB pages: back the guest with"
                + " ordinary memory or a memfd");
    assertThat(kernel.calls).last().isEqualTo("UFFDIO_UNREGISTER " + uffd);
  }

  @ParameterizedTest
  @CsvSource({"0x138, UFFDIO_WAKE", "0x134, UFFDIO_COPY", "0x3c, UFFDIO_POISON"})
  void namesTheIoctlThatARangeDoesNotTake(String ioctls, String lacking) throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.rangeIoctls = Long.decode(ioctls);

    assertThat(registering(uffd))
        .hasMessageContaining(
            "does not take " + lacking + " (ioctls " + ioctls + "); run Linux 6.6");
  }

  @Test
  void saysWhoElseMayHoldARangeThatIsBusy() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.rangeErrno = Errno.EBUSY;

    assertThat(registering(uffd))
        .hasMessageStartingWith(
            "UFFDIO_REGISTER on %s of the range of 4096 bytes at 0x70000 failed: EBUSY"
                .formatted(uffd))
        .hasMessageEndingWith("another userfaultfd has registered part of it");
  }

  private static UserfaultfdException registering(Userfaultfd uffd) {
    return catchThrowableOfType(UserfaultfdException.class, () -> uffd.register(0x70000, PAGE));
  }

  @Test
  void treatsAWakeThatIsRefusedAsOurMistake() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.rangeErrno = Errno.EINVAL;

    Assertions.assertThatIllegalArgumentException()
        .isThrownBy(() -> uffd.wake(0x70001, PAGE))
        .withMessageContaining("4096 bytes at 0x70001 failed: EINVAL");
  }

  @ParameterizedTest
  @EnumSource(names = {"EAGAIN", "EINTR"})
  void findsNoEventsWhereNoneWait(Errno errno) throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    EventBatch batch = new EventBatch(2);
    kernel.thenRead(new byte[EventBatch.MESSAGE_BYTES]);
    uffd.readEvents(batch);
    kernel.thenRead(errno);

    int count = uffd.readEvents(batch);

    assertThat(count).isZero();
    assertThat(batch.size()).isZero();
  }

  private List<String> fills() {
    return kernel.calls.stream()
        .filter(call -> call.startsWith("UFFDIO_MOVE") || call.startsWith("UFFDIO_COPY"))
        .map(call -> call.substring(0, "UFFDIO_MOVE".length()))
        .toList();
  }

  private static FillResult take(Userfaultfd uffd) {
    return uffd.take(7 * HUGE, 3 * HUGE, HUGE);
  }

  @Test
  void aHugePageIsMoved() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(HUGE);

    FillResult taken = take(uffd);

    assertThat(taken).isEqualTo(new FillResult(Outcome.COMPLETED, HUGE, 0));
    assertThat(fills()).containsExactly("UFFDIO_MOVE");
    assertThat(kernel.fillArgument).isEqualTo(longs(7 * HUGE, 3 * HUGE, HUGE, 0));
  }

  @Test
  void whatIsNotAHugePageOnBothSidesIsCopied() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(PAGE);
    kernel.thenFill(HUGE);
    kernel.thenFill(HUGE);

    uffd.take(7 * HUGE, 3 * HUGE, PAGE);
    uffd.take(7 * HUGE + PAGE, 3 * HUGE, HUGE);
    uffd.take(7 * HUGE, 3 * HUGE + PAGE, HUGE);

    assertThat(fills()).containsExactly("UFFDIO_COPY", "UFFDIO_COPY", "UFFDIO_COPY");
  }

  @Test
  void aKernelThatDoesNotMoveIsAskedOnce() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(Errno.EINVAL, 0);
    kernel.thenFill(HUGE);
    kernel.thenFill(HUGE);

    assertThat(take(uffd).outcome()).isEqualTo(Outcome.COMPLETED);
    assertThat(take(uffd).outcome()).isEqualTo(Outcome.COMPLETED);

    assertThat(fills()).containsExactly("UFFDIO_MOVE", "UFFDIO_COPY", "UFFDIO_COPY");
  }

  @ParameterizedTest
  @CsvSource({"EBUSY", "ENOMEM", "ENOENT"})
  void whatCannotBeMovedJustNowIsCopied(Errno errno) throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(errno, -errno.intValue());
    kernel.thenFill(HUGE);
    kernel.thenFill(HUGE);

    assertThat(take(uffd).outcome()).isEqualTo(Outcome.COMPLETED);
    take(uffd);

    assertThat(fills()).containsExactly("UFFDIO_MOVE", "UFFDIO_COPY", "UFFDIO_MOVE");
  }

  /** A copy would heal what is there, if it is poison; and would find the process gone as well. */
  @ParameterizedTest
  @CsvSource({"EEXIST, ALREADY_RESOLVED", "EAGAIN, INTERRUPTED", "ESRCH, PROCESS_GONE"})
  void whatTellsOfTheRangeIsAnsweredAsItIs(Errno errno, Outcome outcome) throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenFill(errno, -errno.intValue());

    assertThat(take(uffd).outcome()).isEqualTo(outcome);

    assertThat(fills()).containsExactly("UFFDIO_MOVE");
  }

  @Test
  void memoryOfAnotherProcessIsNeverAskedToMove() throws Exception {
    long features = Feature.POISON.bit() | Feature.EVENT_REMOVE.bit() | Feature.MOVE.bit();
    Userfaultfd uffd = Userfaultfd.adopt(kernel, kernel.adopt(9, "sent"), features);
    kernel.thenFill(HUGE);

    take(uffd);

    assertThat(fills()).containsExactly("UFFDIO_COPY");
  }

  @Test
  void failsWhenEventsCannotBeRead() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);
    kernel.thenRead(Errno.EINVAL);

    UserfaultfdException e =
        catchThrowableOfType(UserfaultfdException.class, () -> uffd.readEvents(new EventBatch(1)));

    assertThat(e.kind()).isEqualTo(Kind.FAILED);
    assertThat(e).hasMessageStartingWith("read of events from " + uffd + " failed: EINVAL");
  }

  @Test
  void isUnusableAfterClosing() throws Exception {
    Userfaultfd uffd = Userfaultfd.open(kernel);

    uffd.close();

    assertThat(kernel.open).isEmpty();
    Assertions.assertThatIllegalStateException().isThrownBy(() -> uffd.zero(0x70000, PAGE));
  }

  private static byte[] longs(long... values) {
    ByteBuffer bytes =
        ByteBuffer.allocate(values.length * Long.BYTES).order(ByteOrder.nativeOrder());
    bytes.asLongBuffer().put(values);
    return bytes.array();
  }
}
