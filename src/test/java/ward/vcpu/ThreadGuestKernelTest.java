package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestExit;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testbed.WalkerGuestBuilder;
import ward.testing.MemoryFailure;
import ward.testing.RequiresUserfaultfd;

/** Threads in place of vCPUs, on memory behind a real userfaultfd. */
@RequiresUserfaultfd
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(60)
class ThreadGuestKernelTest {

  private static final long MEMORY_BYTES = 16 << 20;
  private static final long PAGES = MEMORY_BYTES >> Pages.SHIFT;
  private static final long LOST_PAGE = 1000;
  private static final long LATE_PAGE = 2000;

  private record Touch(long page, boolean poisoned, long hash) {}

  @TempDir private Path directory;

  private final NativeKernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final ConcurrentLinkedQueue<Touch> touches = new ConcurrentLinkedQueue<>();

  private GuestFixture fixture() throws IOException {
    ThreadGuestFactory factory =
        new ThreadGuestFactory(
            kernel,
            errors,
            2,
            5,
            (thread, page, poisoned, hash) -> touches.add(new Touch(page, poisoned, hash)));
    return new GuestFixture(kernel, factory, new WalkerGuestBuilder(MEMORY_BYTES, 1, 3), directory);
  }

  private static PageSet page(long page) {
    PageSet pages = new PageSet();
    pages.add(page);
    return pages;
  }

  @Test
  void everyPageIsReadTwiceAndOnlyTheLostOneRaisesSigbus() throws Exception {
    try (GuestFixture fixture = fixture()) {
      fixture.fill(page(LOST_PAGE), new PageSet());

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(touches).hasSize(2 * (int) PAGES);
      assertThat(touches.stream().filter(Touch::poisoned).map(Touch::page))
          .containsExactly(LOST_PAGE, LOST_PAGE);
      for (Touch touch : touches) {
        if (!touch.poisoned()) {
          assertThat(touch.hash()).isEqualTo(fixture.expectedHash(touch.page()));
        }
      }
      assertThat(errors.consumed())
          .hasSize(2)
          .allMatch(
              error ->
                  error.guestPhysicalAddress().getAsLong()
                      == fixture.walker().layout().addressOf(LOST_PAGE));
      assertThat(errors.consumed())
          .extracting(MemoryError::input)
          .containsOnly(
              MemoryFailure.isKnownHere()
                  ? MemoryError.Input.SIGBUS_ACTION_REQUIRED
                  : MemoryError.Input.SIGBUS_ADDRESS_ERROR);
      assertThat(errors.injected()).isEmpty();
    }
  }

  @Test
  void aPauseReturnsWhileAThreadWaitsForItsPage() throws Exception {
    try (GuestFixture fixture = fixture()) {
      fixture.fill(new PageSet(), page(LATE_PAGE));
      fixture.guest().resume();
      assertThat(fixture.awaitFault()).isEqualTo(LATE_PAGE);

      fixture.guest().pause();

      List<Touch> before = List.copyOf(touches);
      Thread.sleep(20);
      assertThat(touches).hasSameSizeAs(before);
      fixture.copy(LATE_PAGE);
      fixture.guest().resume();
      assertThat(fixture.guest().exited().toCompletableFuture().get(30, TimeUnit.SECONDS).kind())
          .isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(touches).hasSize(2 * (int) PAGES);
    }
  }

  @Test
  void aPlanIsCarriedOutOnceAndSaysWhatEachTouchSaw() throws Exception {
    Path plan = directory.resolve("plan");
    TouchPlan.write(plan, new int[] {5, (int) LOST_PAGE, 9, 7});
    ThreadGuestFactory factory = ThreadGuestFactory.planned(kernel, errors, 2, plan);
    try (GuestFixture fixture =
        new GuestFixture(kernel, factory, new WalkerGuestBuilder(MEMORY_BYTES, 1, 3), directory)) {
      fixture.fill(page(LOST_PAGE), new PageSet());

      GuestExit exit = fixture.runToExit();

      assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
    }
    TouchPlan.Touch[] touches = TouchPlan.read(plan);
    assertThat(touches).extracting(TouchPlan.Touch::page).containsExactly(5L, LOST_PAGE, 9L, 7L);
    assertThat(touches)
        .extracting(TouchPlan.Touch::lost)
        .containsExactly(false, true, false, false);
    assertThat(touches).allMatch(touch -> touch.beganNanos() > 0 && touch.waitedNanos() > 0);
    assertThat(touches[1].beganNanos())
        .isGreaterThanOrEqualTo(touches[0].beganNanos() + touches[0].waitedNanos());
    assertThat(errors.consumed()).hasSize(1);
  }

  @Test
  void aPlannedTouchSeesThePageThatItWaitedFor() throws Exception {
    Path plan = directory.resolve("plan");
    TouchPlan.write(plan, new int[] {(int) LATE_PAGE});
    ThreadGuestFactory factory = ThreadGuestFactory.planned(kernel, errors, 1, plan);
    try (GuestFixture fixture =
        new GuestFixture(kernel, factory, new WalkerGuestBuilder(MEMORY_BYTES, 1, 3), directory)) {
      fixture.fill(new PageSet(), page(LATE_PAGE));
      fixture.guest().resume();
      assertThat(fixture.awaitFault()).isEqualTo(LATE_PAGE);
      assertThat(TouchPlan.isDone(plan, 0)).isFalse();

      fixture.copy(LATE_PAGE);

      assertThat(fixture.guest().exited().toCompletableFuture().get(30, TimeUnit.SECONDS).kind())
          .isEqualTo(GuestExit.Kind.POWERED_OFF);
      assertThat(TouchPlan.isDone(plan, 0)).isTrue();
    }
  }
}
