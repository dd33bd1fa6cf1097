package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;
import ward.uffd.EventBatch.Event;

class EventBatchTest {

  private final FakeKernel kernel = new FakeKernel();

  @Test
  void readsSeveralEventsOfOneRead() throws Exception {
    EventBatch batch = new EventBatch(8);
    kernel.thenRead(
        messages(
            new long[] {0x12, EventBatch.FLAG_WRITE, 0x7f0000005123L, 42},
            new long[] {0x12, 0, 0x7f0000006000L, 43},
            new long[] {0x15, 0x7f0000008000L, 0x7f000000a000L, 0},
            new long[] {0x16, 0x7f000000c000L, 0x7f000000d000L, 0}));

    int count = Userfaultfd.open(kernel).readEvents(batch);

    assertThat(count).isEqualTo(4).isEqualTo(batch.size());
    assertThat(batch.type(0)).isEqualTo(Event.PAGEFAULT);
    assertThat(batch.address(0)).isEqualTo(0x7f0000005000L);
    assertThat(batch.isWrite(0)).isTrue();
    assertThat(batch.threadId(0)).isEqualTo(42);
    assertThat(batch.isWrite(1)).isFalse();
    assertThat(batch.threadId(1)).isEqualTo(43);
    assertThat(batch.type(2)).isEqualTo(Event.REMOVE);
    assertThat(batch.address(2)).isEqualTo(0x7f0000008000L);
    assertThat(batch.endAddress(2)).isEqualTo(0x7f000000a000L);
    assertThat(batch.type(3)).isEqualTo(Event.UNMAP);
    assertThat(batch.address(3)).isEqualTo(0x7f000000c000L);
    assertThat(batch.endAddress(3)).isEqualTo(0x7f000000d000L);
  }

  @Test
  void toleratesAnEventOfANewerKernelButInventsNoAddressForIt() throws Exception {
    EventBatch batch = new EventBatch(1);
    kernel.thenRead(messages(new long[] {0x77, 1, 2, 3}));

    Userfaultfd.open(kernel).readEvents(batch);

    assertThat(batch.type(0)).isEqualTo(Event.UNKNOWN);
    assertThatIllegalStateException()
        .isThrownBy(() -> batch.address(0))
        .withMessage("event 0 is UNKNOWN (0x77), which carries no address");
  }

  @Test
  void refusesWhatAnEventDoesNotCarry() throws Exception {
    EventBatch batch = new EventBatch(2);
    kernel.thenRead(
        messages(new long[] {0x12, 0, 0x5000, 42}, new long[] {0x15, 0x8000, 0xa000, 0}));

    Userfaultfd.open(kernel).readEvents(batch);

    assertThatIllegalStateException().isThrownBy(() -> batch.endAddress(0));
    assertThatIllegalStateException().isThrownBy(() -> batch.threadId(1));
    assertThatIllegalStateException().isThrownBy(() -> batch.isWrite(1));
  }

  @Test
  void hidesEventsOfEarlierReads() throws Exception {
    EventBatch batch = new EventBatch(2);
    kernel.thenRead(messages(new long[] {0x12, 0, 0x5000, 1}, new long[] {0x12, 0, 0x6000, 2}));
    kernel.thenRead(messages(new long[] {0x12, 0, 0x7000, 3}));
    Userfaultfd uffd = Userfaultfd.open(kernel);

    uffd.readEvents(batch);
    uffd.readEvents(batch);

    assertThat(batch.size()).isEqualTo(1);
    assertThatExceptionOfType(IndexOutOfBoundsException.class).isThrownBy(() -> batch.type(1));
  }

  @Test
  void hasRoomForAtLeastOneEvent() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> new EventBatch(0))
        .withMessage("a batch of 0 events; at least 1 is needed");
  }

  private static byte[] messages(long[]... events) {
    ByteBuffer bytes =
        ByteBuffer.allocate(events.length * EventBatch.MESSAGE_BYTES)
            .order(ByteOrder.nativeOrder());
    for (long[] event : events) {
      bytes.asLongBuffer().put(event);
      bytes.position(bytes.position() + EventBatch.MESSAGE_BYTES);
    }
    return bytes.array();
  }
}
