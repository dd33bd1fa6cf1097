package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.atomic.AtomicLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;
import ward.vcpu.GhesErrorSource.Delivery;
import ward.vcpu.GhesSource.Notification;

class GhesErrorSourceTest {

  private static final long READ_ACK = 0x1010;
  private static final long BLOCK = 0x2000;

  private final FakeGuestRam ram = new FakeGuestRam();
  private final AtomicLong clock = new AtomicLong(-7);
  private final GhesErrorSource source =
      new GhesErrorSource(
          new ErrorStatusBlock(
              ram.kernel,
              ram.memory(),
              new GhesSource(
                  Notification.SYNCHRONOUS_EXTERNAL_ABORT, 0x1000, READ_ACK, BLOCK, 1024)),
          clock::get);

  @BeforeEach
  void acknowledge() {
    ram.putLong(READ_ACK, 1);
  }

  private static MemoryError error(int vcpu) {
    return new MemoryError(
        OptionalLong.of(0x10_0000L + 0x1000L * vcpu),
        Severity.ACTION_REQUIRED,
        12,
        MemoryError.Input.SIGBUS_ACTION_REQUIRED,
        vcpu);
  }

  private void assertHoldsRecordOf(MemoryError error) {
    byte[] record = new ErrorRecord(List.of(error)).toBytes();
    assertThat(ram.bytes(BLOCK, record.length)).containsExactly(record);
  }

  @Test
  void aRecordIsWrittenWhereTheGuestIsDoneWithTheLast() {
    assertThat(source.deliver(error(3))).isEqualTo(Delivery.WRITTEN);
    assertHoldsRecordOf(error(3));
  }

  @Test
  void anUnacknowledgedRecordMakesTheNextWaitUntilItIsAcknowledged() {
    source.deliver(error(0));

    assertThat(source.deliver(error(1))).isEqualTo(Delivery.WAITS);
    assertHoldsRecordOf(error(0));
    acknowledge();
    assertThat(source.deliver(error(1))).isEqualTo(Delivery.WRITTEN);
    assertHoldsRecordOf(error(1));
  }

  @Test
  void vcpusAreServedInTheOrderInWhichTheyCame() {
    source.deliver(error(0));
    source.deliver(error(2));
    source.deliver(error(1));
    acknowledge();

    assertThat(source.deliver(error(1))).as("vCPU 2 came first").isEqualTo(Delivery.WAITS);
    assertThat(source.deliver(error(2))).isEqualTo(Delivery.WRITTEN);
    acknowledge();
    assertThat(source.deliver(error(1))).isEqualTo(Delivery.WRITTEN);
  }

  @Test
  void aVcpuThatAsksNoMoreDoesNotHoldUpTheOthers() {
    source.deliver(error(0));
    source.deliver(error(1));
    clock.addAndGet(GhesErrorSource.PLACE_KEPT_NANOS);
    source.deliver(error(2));
    acknowledge();
    assertThat(source.deliver(error(2))).as("vCPU 1 is first").isEqualTo(Delivery.WAITS);

    clock.addAndGet(1);

    assertThat(source.deliver(error(2))).isEqualTo(Delivery.WRITTEN);
  }

  @Test
  void askingKeepsThePlace() {
    source.deliver(error(0));
    source.deliver(error(1));
    source.deliver(error(2));
    for (int i = 0; i < 4; i++) {
      clock.addAndGet(GhesErrorSource.PLACE_KEPT_NANOS);
      assertThat(source.deliver(error(1))).isEqualTo(Delivery.WAITS);
      assertThat(source.deliver(error(2))).isEqualTo(Delivery.WAITS);
    }
    acknowledge();

    assertThat(source.deliver(error(2))).as("vCPU 1 came first").isEqualTo(Delivery.WAITS);
    assertThat(source.deliver(error(1))).isEqualTo(Delivery.WRITTEN);
  }

  /** Asks as often as a vCPU does, so that its place is kept. */
  private Delivery ask(MemoryError error, long nanos) {
    Delivery delivery = Delivery.WAITS;
    for (long passed = 0; passed < nanos; passed += GhesErrorSource.PLACE_KEPT_NANOS) {
      clock.addAndGet(Math.min(GhesErrorSource.PLACE_KEPT_NANOS, nanos - passed));
      delivery = source.deliver(error);
    }
    return delivery;
  }

  @Test
  void aGuestThatNeverAcknowledgesGetsTheAbortWithoutARecord() {
    source.deliver(error(0));
    source.deliver(error(1));
    assertThat(ask(error(1), GhesErrorSource.PATIENCE_NANOS)).isEqualTo(Delivery.WAITS);

    Delivery delivery = ask(error(1), 1);

    assertThat(delivery).isEqualTo(Delivery.IMPOSSIBLE);
    assertHoldsRecordOf(error(0));
  }

  @Test
  void whoGaveUpHoldsNoPlaceAndStartsANewWaitTheNextTime() {
    source.deliver(error(0));
    source.deliver(error(1));
    ask(error(1), GhesErrorSource.PATIENCE_NANOS + 1);

    assertThat(source.deliver(error(2))).isEqualTo(Delivery.WAITS);
    assertThat(source.deliver(error(1))).isEqualTo(Delivery.WAITS);
    acknowledge();
    assertThat(source.deliver(error(1))).as("vCPU 2 is first now").isEqualTo(Delivery.WAITS);
    assertThat(source.deliver(error(2))).isEqualTo(Delivery.WRITTEN);
  }

  @Test
  void poisonUnderTheBlockMeansAnAbortWithoutARecordForEachError() {
    ram.poison(0x2000);

    assertThat(source.deliver(error(0))).isEqualTo(Delivery.IMPOSSIBLE);
    assertThat(source.deliver(error(1))).isEqualTo(Delivery.IMPOSSIBLE);
    assertThat(ram.bytes(BLOCK, 1024)).isEqualTo(Arrays.copyOf(new byte[0], 1024));
  }
}
