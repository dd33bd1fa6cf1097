package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class VcpuGateTest {

  private final VcpuGate gate = new VcpuGate();
  private final AtomicLong steps = new AtomicLong();

  /** One step lasts until the guest is kicked, as KVM_RUN of a guest that never exits. */
  private final Semaphore kicks = new Semaphore(0);

  private final Thread vcpu = new Thread(this::runSteps, "gate-test");

  private void runSteps() {
    while (gate.enter()) {
      steps.incrementAndGet();
      kicks.acquireUninterruptibly();
    }
    gate.leave();
  }

  @AfterEach
  void endTheThread() throws Exception {
    gate.end();
    kicks.release(1_000);
    if (vcpu.getState() != Thread.State.NEW) {
      vcpu.join();
    }
  }

  private void awaitSteps(long count) throws InterruptedException {
    while (steps.get() < count) {
      Thread.sleep(1);
    }
  }

  @Test
  void nothingRunsBeforeTheFirstResume() throws Exception {
    vcpu.start();
    while (vcpu.getState() != Thread.State.WAITING) {
      Thread.sleep(1);
    }

    gate.awaitOutsideUntil(Long.MAX_VALUE, () -> {});

    assertThat(steps).hasValue(0);
  }

  @Test
  void aResumeBeforeTheThreadArrivesIsNotLost() throws Exception {
    gate.resume();

    vcpu.start();

    awaitSteps(1);
    assertThat(steps).hasValue(1);
  }

  @Test
  void aPauseBringsTheThreadOutOfItsStepAndItGoesOnAfterAResume() throws Exception {
    gate.resume();
    vcpu.start();
    awaitSteps(1);

    gate.forbid();
    gate.awaitOutsideUntil(Long.MAX_VALUE, kicks::release);

    assertThat(steps).hasValue(1);
    gate.resume();
    awaitSteps(2);
  }

  @Test
  void aKickThatGetsLostIsRepeated() throws Exception {
    AtomicInteger tries = new AtomicInteger();
    gate.resume();
    vcpu.start();
    awaitSteps(1);

    gate.forbid();
    gate.awaitOutsideUntil(
        Long.MAX_VALUE,
        () -> {
          if (tries.incrementAndGet() == 3) {
            kicks.release();
          }
        });

    assertThat(tries.get()).isGreaterThanOrEqualTo(3);
  }

  @Test
  void aThreadThatStandsAtTheGateIsNotKicked() throws Exception {
    AtomicInteger tries = new AtomicInteger();
    vcpu.start();

    gate.awaitOutsideUntil(Long.MAX_VALUE, tries::incrementAndGet);

    assertThat(tries).hasValue(0);
  }

  @Test
  void noPauseIsLostHoweverOftenItComes() throws Exception {
    vcpu.start();

    for (int i = 0; i < 500; i++) {
      gate.resume();
      gate.forbid();
      gate.awaitOutsideUntil(Long.MAX_VALUE, kicks::release);
      long standing = steps.get();
      kicks.release();
      Thread.onSpinWait();
      assertThat(steps).hasValue(standing);
      kicks.drainPermits();
    }

    assertThat(vcpu.isAlive()).isTrue();
  }

  @Test
  void anEndIsFinal() throws Exception {
    vcpu.start();

    gate.end();
    gate.resume();
    gate.forbid();
    gate.resume();

    vcpu.join();
    assertThat(steps).hasValue(0);
    assertThat(gate.enter()).isFalse();
  }

  @Test
  void aThreadThatHasEndedIsOutside() throws Exception {
    gate.resume();
    vcpu.start();
    awaitSteps(1);
    gate.end();
    kicks.release();
    vcpu.join();
    AtomicInteger tries = new AtomicInteger();

    gate.awaitOutsideUntil(Long.MAX_VALUE, tries::incrementAndGet);

    assertThat(tries).hasValue(0);
  }

  @Test
  void aWaitWithADeadlineSaysThatTheThreadIsStillInside() throws Exception {
    gate.resume();
    vcpu.start();
    awaitSteps(1);
    gate.forbid();

    boolean out =
        gate.awaitOutsideUntil(System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(10), () -> {});

    assertThat(out).isFalse();
    kicks.release();
    assertThat(gate.awaitOutsideUntil(System.nanoTime() + TimeUnit.SECONDS.toNanos(20), () -> {}))
        .isTrue();
  }

  @Test
  void anInterruptDoesNotShortenAWaitWithADeadlineAndIsKept() throws Exception {
    gate.resume();
    vcpu.start();
    awaitSteps(1);
    gate.forbid();
    long begin = System.nanoTime();
    Thread.currentThread().interrupt();

    boolean out = gate.awaitOutsideUntil(begin + TimeUnit.MILLISECONDS.toNanos(20), () -> {});

    assertThat(Thread.interrupted()).isTrue();
    assertThat(out).isFalse();
    assertThat(System.nanoTime() - begin).isGreaterThan(TimeUnit.MILLISECONDS.toNanos(19));
  }
}
