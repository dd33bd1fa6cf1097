package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;
import ward.vcpu.GhesSource.Notification;

class ErrorStatusBlockTest {

  private static final long REGISTER = 0x1000;
  private static final long READ_ACK = 0x1010;
  private static final long BLOCK = 0x2100;
  private static final int RECORD_BYTES = 172;
  private static final GhesSource SOURCE =
      new GhesSource(Notification.SYNCHRONOUS_EXTERNAL_ABORT, REGISTER, READ_ACK, BLOCK, 1024);

  private final FakeGuestRam ram = new FakeGuestRam();
  private final ErrorStatusBlock block = new ErrorStatusBlock(ram.kernel, ram.memory(), SOURCE);

  @BeforeEach
  void theGuestIsDoneWithWhateverWasThere() {
    ram.putLong(READ_ACK, 1);
  }

  private static ErrorRecord record(long gpa) {
    return new ErrorRecord(
        List.of(
            new MemoryError(
                OptionalLong.of(gpa),
                Severity.ACTION_REQUIRED,
                12,
                MemoryError.Input.SIGBUS_ACTION_REQUIRED,
                0)));
  }

  @Test
  void aRecordIsWholeInMemoryAndTheAcknowledgementIsTakenBack() {
    ErrorStatusBlock.Outcome outcome = block.write(record(0x5000));

    assertThat(outcome).isEqualTo(ErrorStatusBlock.Outcome.WRITTEN);
    assertThat(ram.bytes(BLOCK, RECORD_BYTES)).containsExactly(record(0x5000).toBytes());
    assertThat(ram.getLong(READ_ACK)).isZero();
  }

  /** Else a guest that polls meets half a record, or acknowledges a record it has not seen. */
  @Test
  void theBlockStatusIsWrittenLastAndAfterTheAcknowledgementWasTakenBack() {
    block.write(record(0x5000));

    assertThat(ram.writes)
        .containsExactly("172 bytes at 0x2100", "8 bytes at 0x1010", "4 bytes at 0x2100");
  }

  @Test
  void anUnacknowledgedRecordIsNotTouched() {
    block.write(record(0x5000));
    ram.writes.clear();

    ErrorStatusBlock.Outcome outcome = block.write(record(0x6000));

    assertThat(outcome).isEqualTo(ErrorStatusBlock.Outcome.UNACKNOWLEDGED);
    assertThat(ram.writes).isEmpty();
    assertThat(ram.bytes(BLOCK, RECORD_BYTES)).containsExactly(record(0x5000).toBytes());
  }

  @Test
  void onlyTheAcknowledgementBitCounts() {
    ram.putLong(READ_ACK, ~GhesSource.READ_ACK);

    assertThat(block.write(record(0x5000))).isEqualTo(ErrorStatusBlock.Outcome.UNACKNOWLEDGED);
  }

  @Test
  void anAcknowledgedRecordMakesRoomForTheNext() {
    block.write(record(0x5000));
    ram.putLong(READ_ACK, 1);

    ErrorStatusBlock.Outcome outcome = block.write(record(0x6000));

    assertThat(outcome).isEqualTo(ErrorStatusBlock.Outcome.WRITTEN);
    assertThat(ram.bytes(BLOCK, RECORD_BYTES)).containsExactly(record(0x6000).toBytes());
  }

  @Test
  void aPoisonedReadAckRegisterIsUnreachableAndNothingIsWritten() {
    ram.poison(0x1000);

    assertThat(block.write(record(0x5000))).isEqualTo(ErrorStatusBlock.Outcome.UNREACHABLE);
    assertThat(ram.writes).isEmpty();
  }

  @Test
  void aPoisonedBlockIsUnreachableAndTheAcknowledgementStays() {
    ram.poison(0x2000);

    assertThat(block.write(record(0x5000))).isEqualTo(ErrorStatusBlock.Outcome.UNREACHABLE);
    assertThat(ram.getLong(READ_ACK)).isEqualTo(1);
  }

  @Test
  void aSourceOutsideRamIsRefused() {
    GhesSource outside = new GhesSource(Notification.POLLED, REGISTER, READ_ACK, 0x9000, 1024);

    assertThatThrownBy(() -> new ErrorStatusBlock(ram.kernel, ram.memory(), outside))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("an error source at GPA 0x9000, which is not the guest's RAM");
  }
}
