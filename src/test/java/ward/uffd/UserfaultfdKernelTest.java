package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.catchThrowableOfType;
import static org.assertj.core.api.Assumptions.assumeThat;
import static ward.uffd.WatchedMemory.LENGTH;
import static ward.uffd.WatchedMemory.PAGE;
import static ward.uffd.WatchedMemory.await;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.EventBatch.Event;
import ward.uffd.FillResult.Outcome;
import ward.uffd.WatchedMemory.Kind;
import ward.uffd.WatchedMemory.Touch;

/** What the code around it relies on, asked of this machine's kernel. */
@RequiresUserfaultfd
@Timeout(60)
class UserfaultfdKernelTest {

  private static final FillResult ONE_PAGE = new FillResult(Outcome.COMPLETED, PAGE, 0);
  private static final FillResult PRESENT = refusal(Outcome.ALREADY_RESOLVED, Errno.EEXIST);
  private static final FillResult CHANGING = refusal(Outcome.INTERRUPTED, Errno.EAGAIN);

  private static FillResult refusal(Outcome outcome, Errno errno) {
    return new FillResult(outcome, 0, errno.intValue());
  }

  @Test
  void thisKernelOffersWhatWardEnables() throws Exception {
    long offered = Userfaultfd.offeredFeatures(NativeKernel.load());

    assertThat(Feature.in(offered)).containsAll(Handshake.WANTED);
  }

  @Test
  void opensThroughTheNodeWhereTheSystemCallIsNotPermitted() throws Exception {
    assumeThat(Files.isReadable(Path.of(Descriptor.NODE))).as(Descriptor.NODE).isTrue();
    Kernel kernel = withoutTheSystemCall(NativeKernel.load());
    long base = kernel.mapAnonymous(PAGE);

    try (Userfaultfd uffd = Userfaultfd.open(kernel)) {
      uffd.register(base, PAGE);

      assertThat(uffd.poison(base, PAGE)).isEqualTo(ONE_PAGE);
    }
    kernel.unmap(base, PAGE);
  }

  private static Kernel withoutTheSystemCall(Kernel kernel) {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("openUserfaultfd")) {
                throw new KernelCallException("userfaultfd(2)", "test", Errno.EPERM.intValue());
              }
              try {
                return method.invoke(kernel, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  @ParameterizedTest
  @EnumSource
  void copiesAMissingPageOnce(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      assertThat(memory.copy(3)).isEqualTo(ONE_PAGE);
      assertThat(memory.copy(3)).isEqualTo(PRESENT);

      memory.assertHoldsItsBytes(3);
    }
  }

  @ParameterizedTest
  @EnumSource
  void zeroesAMissingPageOnce(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      assertThat(memory.zero(3)).isEqualTo(ONE_PAGE);
      assertThat(memory.zero(3)).isEqualTo(PRESENT);
      assertThat(memory.copy(3)).isEqualTo(PRESENT);

      memory.assertHoldsZeros(3);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aTouchOfAPoisonedPageRaisesSigbusAtTheVeryByte(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      long address = memory.page(5) + 0x128;

      FillResult result = memory.poison(5);
      Touch touch = memory.touchNow(address);

      assertThat(result).isEqualTo(ONE_PAGE);
      assertThat(touch.answer()).isEqualTo(-Errno.EFAULT.intValue());
      assertThat(touch.signalAddress()).isEqualTo(address);
      // Without CONFIG_MEMORY_FAILURE the kernel has no word for lost memory.
      assertThat(touch.signalCode()).isIn(Linux.BUS_ADRERR, Linux.BUS_MCEERR_AR);
      assertThat(memory.uffd.readEvents(new EventBatch(1))).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource
  void poisonsAMissingPageOnceAndNeverAPresentOne(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.copy(4);

      assertThat(memory.poison(4)).isEqualTo(PRESENT);
      assertThat(memory.poison(5)).isEqualTo(ONE_PAGE);
      assertThat(memory.poison(5)).isEqualTo(PRESENT);

      memory.assertHoldsItsBytes(4);
    }
  }

  @ParameterizedTest
  @EnumSource
  void poisoningARangeStopsBeforeAPagePresentInIt(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.copy(6);

      FillResult result = memory.uffd.poison(memory.page(4), 4 * PAGE);

      assertThat(result)
          .isEqualTo(new FillResult(Outcome.INTERRUPTED, 2 * PAGE, Errno.EAGAIN.intValue()));
      assertThat(memory.poison(5)).isEqualTo(PRESENT);
      assertThat(memory.poison(7)).isEqualTo(ONE_PAGE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void copyingARangeStopsBeforeAPagePresentInIt(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.zero(6);

      FillResult result = memory.uffd.copy(memory.page(3), memory.sourceOf(3), 8 * PAGE);

      assertThat(result)
          .isEqualTo(new FillResult(Outcome.INTERRUPTED, 3 * PAGE, Errno.EAGAIN.intValue()));
      memory.assertHoldsItsBytes(5);
      memory.assertHoldsZeros(6);
    }
  }

  @ParameterizedTest
  @EnumSource
  void answersThatARangeIsNotRegistered(Kind kind) throws Exception {
    FillResult unregistered = refusal(Outcome.UNREGISTERED, Errno.ENOENT);
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.uffd.unregister(memory.base, LENGTH);

      assertThat(memory.copy(0)).isEqualTo(unregistered);
      assertThat(memory.zero(0)).isEqualTo(unregistered);
      assertThat(memory.poison(0)).isEqualTo(unregistered);
    }
  }

  @ParameterizedTest
  @EnumSource
  void refusesAnAddressInsideAPage(Kind kind) throws Exception {
    FillResult refused = refusal(Outcome.REFUSED, Errno.EINVAL);
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      long crooked = memory.page(1) + 8;

      assertThat(memory.uffd.copy(crooked, memory.sourceOf(1), PAGE)).isEqualTo(refused);
      assertThat(memory.uffd.zero(crooked, PAGE)).isEqualTo(refused);
      assertThat(memory.uffd.poison(crooked, PAGE)).isEqualTo(refused);
      assertThat(memory.uffd.continueRange(crooked, PAGE)).isEqualTo(refused);
      assertThatIllegalArgumentException().isThrownBy(() -> memory.uffd.wake(crooked, PAGE));
    }
  }

  @Test
  void refusesASourceThatCannotBeRead() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS)) {
      memory.poison(2);

      FillResult result = memory.uffd.copy(memory.page(3), memory.page(2), PAGE);

      assertThat(result).isEqualTo(refusal(Outcome.REFUSED, Errno.EFAULT));
    }
  }

  /** The hazard for which a copy needs permission from a record of what is poisoned. */
  @ParameterizedTest
  @EnumSource
  void aCopyOverPoisonSucceedsAndHealsThePage(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.poison(5);

      assertThat(memory.copy(5)).isEqualTo(ONE_PAGE);

      memory.assertHoldsItsBytes(5);
    }
  }

  @Test
  void anonymousMemoryKeepsPoisonFromZeros() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS)) {
      memory.poison(5);

      assertThat(memory.zero(5)).isEqualTo(PRESENT);

      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(-Errno.EFAULT.intValue());
    }
  }

  @Test
  void zerosOverPoisonHealAPageOfSharedMemory() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.MEMFD)) {
      memory.poison(5);

      assertThat(memory.zero(5)).isEqualTo(ONE_PAGE);

      memory.assertHoldsZeros(5);
    }
  }

  @Test
  void continuingOverPoisonHealsAPageThatTheFileHolds() throws Exception {
    long mode = Registration.MISSING | Registration.MINOR;
    try (WatchedMemory memory = new WatchedMemory(Kind.MEMFD, mode)) {
      long otherView = memory.mapAgain();
      memory.kernel.copy(otherView + 5 * PAGE, memory.sourceOf(5), PAGE);
      memory.poison(5);
      Touch touch = memory.touchNow(memory.page(5));

      FillResult result = memory.uffd.continueRange(memory.page(5), PAGE);

      assertThat(touch.answer()).isEqualTo(-Errno.EFAULT.intValue());
      assertThat(result).isEqualTo(ONE_PAGE);
      memory.assertHoldsItsBytes(5);
    }
  }

  @Test
  void aSecondMappingOfTheSameFileDoesNotSeePoison() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.MEMFD)) {
      long otherView = memory.mapAgain();

      memory.poison(5);

      assertThat(memory.touchNow(otherView + 5 * PAGE).answer()).isZero();
      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(-Errno.EFAULT.intValue());
    }
  }

  @ParameterizedTest
  @EnumSource
  void poisonOutlivesTheRegistration(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.poison(5);

      memory.uffd.unregister(memory.base, LENGTH);

      assertThat(memory.touchNow(memory.page(5)).answer()).isEqualTo(-Errno.EFAULT.intValue());
      memory.assertHoldsZeros(6);
    }
  }

  @ParameterizedTest
  @EnumSource
  void givingAPoisonedPageBackForgetsThePoisonAndSaysSo(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.poison(5);

      CompletableFuture<Integer> discarding = memory.discard(5);
      EventBatch removed = memory.nextEvent();

      assertThat(removed.type(0)).isEqualTo(Event.REMOVE);
      assertThat(removed.address(0)).isEqualTo(memory.page(5));
      assertThat(removed.endAddress(0)).isEqualTo(memory.page(6));
      assertThat(await(discarding)).isZero();

      CompletableFuture<Touch> touching = memory.touch(memory.page(5));
      EventBatch missing = memory.nextEvent();

      assertThat(missing.type(0)).isEqualTo(Event.PAGEFAULT);
      assertThat(missing.address(0)).isEqualTo(memory.page(5));
      assertThat(memory.copy(5)).isEqualTo(ONE_PAGE);
      assertThat(await(touching).answer()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource
  void everyFillIsInterruptedWhileARemovalIsUnread(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.copy(0);
      memory.poison(1);

      CompletableFuture<Integer> discarding = memory.discard(0);
      WatchedMemory.awaitThat(() -> memory.poison(1).equals(CHANGING), "the removal");

      assertThat(memory.copy(2)).isEqualTo(CHANGING);
      assertThat(memory.zero(2)).isEqualTo(CHANGING);
      assertThat(memory.poison(2)).isEqualTo(CHANGING);
      assertThat(memory.uffd.continueRange(memory.page(2), PAGE)).isEqualTo(CHANGING);
      memory.uffd.wake(memory.page(2), PAGE);
      assertThat(discarding).isNotDone();

      assertThat(memory.nextEvent().type(0)).isEqualTo(Event.REMOVE);
      assertThat(await(discarding)).isZero();
      assertThat(memory.copy(2)).isEqualTo(ONE_PAGE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void memoryThatIsUnmappedWaitsForNobodyAndTakesNoMorePages(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      int unmapped = memory.kernel.unmap(memory.page(8), 4 * PAGE);

      assertThat(unmapped).isZero();
      assertThat(memory.copy(9)).isEqualTo(refusal(Outcome.UNREGISTERED, Errno.ENOENT));
      assertThat(memory.copy(12)).isEqualTo(ONE_PAGE);
    }
  }

  @ParameterizedTest
  @EnumSource
  void oneReadTakesTheFaultsOfSeveralThreads(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      Map<Integer, Long> expected = new HashMap<>();
      List<CompletableFuture<Touch>> touching = new ArrayList<>();
      for (int i = 0; i < 5; i++) {
        CompletableFuture<Integer> threadId = new CompletableFuture<>();
        touching.add(memory.touch(memory.page(i) + 0x40, threadId));
        expected.put(await(threadId), memory.page(i));
      }
      memory.awaitUnreadFaults(5);

      Map<Integer, Long> seen = new HashMap<>();
      EventBatch four = new EventBatch(4);
      List<Integer> counts = new ArrayList<>();
      for (int i = 0; i < 3; i++) {
        counts.add(memory.uffd.readEvents(four));
        note(four, seen);
      }

      assertThat(counts).containsExactly(4, 1, 0);
      assertThat(seen).isEqualTo(expected);
      assertThat(memory.uffd.zero(memory.base, 5 * PAGE).outcome()).isEqualTo(Outcome.COMPLETED);
      for (CompletableFuture<Touch> touch : touching) {
        assertThat(await(touch).answer()).isZero();
      }
    }
  }

  private static void note(EventBatch batch, Map<Integer, Long> pageByThread) {
    for (int i = 0; i < batch.size(); i++) {
      assertThat(batch.type(i)).isEqualTo(Event.PAGEFAULT);
      assertThat(batch.isWrite(i)).isFalse();
      pageByThread.put(batch.threadId(i), batch.address(i));
    }
  }

  @ParameterizedTest
  @EnumSource
  void aStoreIsToldFromALoad(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      CompletableFuture<Long> storing =
          memory.start(() -> memory.kernel.copy(memory.page(7), memory.sourceOf(7), PAGE));

      EventBatch fault = memory.nextEvent();

      assertThat(fault.isWrite(0)).isTrue();
      assertThat(fault.address(0)).isEqualTo(memory.page(7));
      memory.zero(7);
      assertThat(await(storing)).isEqualTo(PAGE);
      memory.assertHoldsItsBytes(7);
    }
  }

  @ParameterizedTest
  @EnumSource
  void poisonWakesWhoeverWaitsWithSigbus(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      long address = memory.page(9) + 0xff8;
      CompletableFuture<Touch> touching = memory.touch(address);
      memory.nextEvent();

      memory.poison(9);

      Touch touch = await(touching);
      assertThat(touch.answer()).isEqualTo(-Errno.EFAULT.intValue());
      assertThat(touch.signalAddress()).isEqualTo(address);
    }
  }

  @ParameterizedTest
  @EnumSource
  void aWakeWithoutAFillRaisesTheFaultAgain(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      CompletableFuture<Touch> touching = memory.touch(memory.page(2));
      int thread = memory.nextEvent().threadId(0);

      memory.uffd.wake(memory.page(2), PAGE);
      EventBatch again = memory.nextEvent();

      assertThat(again.address(0)).isEqualTo(memory.page(2));
      assertThat(again.threadId(0)).isEqualTo(thread);
      memory.copy(2);
      assertThat(await(touching).answer()).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource
  void closingWakesWhoeverWaits(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      CompletableFuture<Touch> touching = memory.touch(memory.page(2));
      memory.nextEvent();

      memory.uffd.close();

      assertThat(await(touching).answer()).isZero();
    }
  }

  @Test
  void refusesMemoryThatIsNotMapped() throws Exception {
    NativeKernel kernel = NativeKernel.load();
    long gone = kernel.mapAnonymous(PAGE);
    kernel.unmap(gone, PAGE);

    try (Userfaultfd uffd = Userfaultfd.open(kernel)) {
      UserfaultfdException e =
          catchThrowableOfType(UserfaultfdException.class, () -> uffd.register(gone, PAGE));

      assertThat(e.kind()).isEqualTo(UserfaultfdException.Kind.FAILED);
      assertThat(e).hasMessageContaining("UFFDIO_REGISTER on " + uffd);
    }
  }

  @Test
  void refusesMemoryThatAnotherDescriptorWatches() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS);
        Userfaultfd second = Userfaultfd.open(memory.kernel)) {
      UserfaultfdException e =
          catchThrowableOfType(
              UserfaultfdException.class, () -> second.register(memory.base, LENGTH));

      assertThat(e).hasMessageContaining("EBUSY").hasMessageContaining("another userfaultfd");
    }
  }
}
