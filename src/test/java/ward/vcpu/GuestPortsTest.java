package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.kernel.NativeMemory;

class GuestPortsTest {

  private static final int VCPU = 1;
  private static final byte IN = 0;
  private static final byte OUT = 1;
  private static final int DATA = 0x1000;

  private final NativeMemory page = NativeMemory.allocate(0x2000);
  private final KvmRun run = new KvmRun(page);
  private final List<String> words = new ArrayList<>();
  private final GuestPorts ports =
      new GuestPorts(VCPU, (vcpu, value) -> words.add("%d: 0x%x".formatted(vcpu, value)));

  private void io(byte direction, int port, int sizeBytes, int... values) {
    page.putByte(KvmRun.IO_DIRECTION, direction);
    page.putByte(KvmRun.IO_SIZE, (byte) sizeBytes);
    page.putShort(KvmRun.IO_PORT, (short) port);
    page.putInt(KvmRun.IO_COUNT, values.length);
    page.putLong(KvmRun.IO_DATA_OFFSET, DATA);
    for (int i = 0; i < values.length; i++) {
      page.putInt(DATA + i * sizeBytes, values[i]);
    }
  }

  @Test
  void aWordAtTheReportPortIsHeard() {
    io(OUT, GuestPorts.REPORT, 4, 0xdeadbeef);

    boolean goesOn = ports.onIo(run);

    assertThat(goesOn).isTrue();
    assertThat(words).containsExactly("1: 0xdeadbeef");
  }

  @Test
  void aStringInstructionReportsEveryWordInOrder() {
    io(OUT, GuestPorts.REPORT, 4, 1, 2, 3);

    ports.onIo(run);

    assertThat(words).containsExactly("1: 0x1", "1: 0x2", "1: 0x3");
  }

  @Test
  void aNarrowWriteToTheReportPortIsNoWord() {
    io(OUT, GuestPorts.REPORT, 2, 0x1234);

    boolean goesOn = ports.onIo(run);

    assertThat(goesOn).isTrue();
    assertThat(words).isEmpty();
  }

  @Test
  void aWriteToThePowerPortEndsTheVcpuWhateverItsWidth() {
    io(OUT, GuestPorts.POWER_OFF, 1, 0);
    assertThat(ports.onIo(run)).isFalse();

    io(OUT, GuestPorts.POWER_OFF, 4, 0);
    assertThat(ports.onIo(run)).isFalse();
  }

  @Test
  void aReadFromThePowerPortDoesNotEndTheVcpu() {
    io(IN, GuestPorts.POWER_OFF, 1, 0);

    assertThat(ports.onIo(run)).isTrue();
  }

  @Test
  void aReadWhereNothingIsAttachedAnswersOnesAndNotOneByteMore() {
    io(IN, 0xffff, 2, 0, 0);

    boolean goesOn = ports.onIo(run);

    assertThat(goesOn).isTrue();
    assertThat(page.getInt(DATA)).isEqualTo(-1);
    assertThat(page.getInt(DATA + 4)).isZero();
  }

  @Test
  void aWriteWhereNothingIsAttachedChangesNothing() {
    io(OUT, 0x80, 1, 0x42);

    boolean goesOn = ports.onIo(run);

    assertThat(goesOn).isTrue();
    assertThat(page.getInt(DATA)).isEqualTo(0x42);
    assertThat(words).isEmpty();
  }

  @Test
  void aReadOfMemoryThatIsNotThereAnswersOnes() {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, 0xfed00000L);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) 0);

    ports.onMmio(run);

    assertThat(page.getLong(KvmRun.MMIO_DATA)).isEqualTo(-1);
  }

  @Test
  void aWriteToMemoryThatIsNotThereIsDropped() {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, 0xfed00000L);
    page.putLong(KvmRun.MMIO_DATA, 0x42);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) 1);

    ports.onMmio(run);

    assertThat(page.getLong(KvmRun.MMIO_DATA)).isEqualTo(0x42);
  }
}
