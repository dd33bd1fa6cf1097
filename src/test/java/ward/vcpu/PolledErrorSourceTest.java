package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.OptionalLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;
import ward.vcpu.GhesSource.Notification;

class PolledErrorSourceTest {

  private static final long READ_ACK = 0x1010;
  private static final long BLOCK = 0x2000;
  private static final int BLOCK_BYTES = 1024;
  private static final int ERRORS_OF_A_BLOCK = 6;

  private final FakeGuestRam ram = new FakeGuestRam();
  private final PolledErrorSource source = source(BLOCK_BYTES);

  private PolledErrorSource source(int blockBytes) {
    return new PolledErrorSource(
        new ErrorStatusBlock(
            ram.kernel,
            ram.memory(),
            new GhesSource(Notification.POLLED, 0x1000, READ_ACK, BLOCK, blockBytes)));
  }

  @BeforeEach
  void acknowledge() {
    ram.putLong(READ_ACK, 1);
  }

  private static List<MemoryError> errors(long first, int count) {
    return LongStream.range(first, first + count).mapToObj(i -> error(0x1000 * i)).toList();
  }

  private static MemoryError error(long gpa) {
    return new MemoryError(
        OptionalLong.of(gpa),
        Severity.ACTION_OPTIONAL,
        12,
        MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
        0);
  }

  private void assertHoldsRecordOf(List<MemoryError> errors) {
    byte[] record = new ErrorRecord(errors).toBytes();
    assertThat(ram.bytes(BLOCK, record.length)).containsExactly(record);
  }

  @Test
  void nothingIsWrittenForNothing() {
    source.deliverWaiting();

    assertThat(ram.writes).isEmpty();
    assertThat(source.hasWaiting()).isFalse();
  }

  @Test
  void aRecordTakesAsManyWarningsAsFitAndTheRestWait() {
    errors(1, 8).forEach(source::announce);

    source.deliverWaiting();

    assertHoldsRecordOf(errors(1, ERRORS_OF_A_BLOCK));
    assertThat(source.waiting()).isEqualTo(errors(7, 2));
  }

  @Test
  void theRestGoesOutOnceTheGuestHasAcknowledged() {
    errors(1, 8).forEach(source::announce);
    source.deliverWaiting();
    source.deliverWaiting();
    assertThat(source.waiting()).as("not acknowledged").isEqualTo(errors(7, 2));

    acknowledge();
    source.deliverWaiting();

    assertHoldsRecordOf(errors(7, 2));
    assertThat(source.hasWaiting()).isFalse();
  }

  @Test
  void aLargeBlockIsNotFilledWithMoreThanTheGuestsQueueHolds() {
    PolledErrorSource large = source(4096);
    errors(1, 20).forEach(large::announce);

    large.deliverWaiting();

    assertHoldsRecordOf(errors(1, PolledErrorSource.RECORD_ERRORS_MAX));
    assertThat(large.waiting()).isEqualTo(errors(9, 12));
  }

  @Test
  void whatCannotReachTheGuestIsDroppedInsteadOfTriedForEver() {
    ram.poison(0x2000);
    errors(1, 8).forEach(source::announce);

    source.deliverWaiting();

    assertThat(ram.bytes(BLOCK, BLOCK_BYTES)).containsOnly(0);
    assertThat(source.hasWaiting()).isFalse();
  }

  @Test
  void aSourceIsFullWhenTheNextRecordIs() {
    errors(1, ERRORS_OF_A_BLOCK - 1).forEach(source::announce);
    assertThat(source.isFull()).isFalse();

    source.announce(error(0x9000));

    assertThat(source.isFull()).isTrue();
    source.deliverWaiting();
    assertThat(source.isFull()).isFalse();
  }
}
