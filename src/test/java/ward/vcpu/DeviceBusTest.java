package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import ward.kernel.NativeMemory;
import ward.vcpu.DeviceBus.Outcome;

class DeviceBusTest {

  private static final int VCPU = 1;
  private static final byte IN = 0;
  private static final byte OUT = 1;
  private static final int DATA = 0x1000;

  private final NativeMemory page = NativeMemory.allocate(0x2000);
  private final KvmRun run = new KvmRun(page);
  private final List<String> words = new ArrayList<>();
  private final DeviceBus bus =
      new DeviceBus((vcpu, value) -> words.add("%d: 0x%x".formatted(vcpu, value)));

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
  void aWordAtTheReportPortIsHeard() throws Exception {
    io(OUT, DeviceBus.REPORT, 4, 0xdeadbeef);

    Outcome outcome = bus.onIo(VCPU, run);

    assertThat(outcome).isEqualTo(Outcome.RUNS_ON);
    assertThat(words).containsExactly("1: 0xdeadbeef");
  }

  @Test
  void aStringInstructionReportsEveryWordInOrder() throws Exception {
    io(OUT, DeviceBus.REPORT, 4, 1, 2, 3);

    bus.onIo(VCPU, run);

    assertThat(words).containsExactly("1: 0x1", "1: 0x2", "1: 0x3");
  }

  @Test
  void aNarrowWriteToTheReportPortIsNoWord() throws Exception {
    io(OUT, DeviceBus.REPORT, 2, 0x1234);

    Outcome outcome = bus.onIo(VCPU, run);

    assertThat(outcome).isEqualTo(Outcome.RUNS_ON);
    assertThat(words).isEmpty();
  }

  @Test
  void aWriteToThePowerPortEndsTheVcpuWhateverItsWidth() throws Exception {
    io(OUT, DeviceBus.POWER_OFF, 1, 0);
    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.VCPU_IS_OFF);

    io(OUT, DeviceBus.POWER_OFF, 4, 0);
    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.VCPU_IS_OFF);
  }

  @Test
  void aReadFromThePowerPortDoesNotEndTheVcpu() throws Exception {
    io(IN, DeviceBus.POWER_OFF, 1, 0);

    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
  }

  @Test
  void aReadWhereNothingIsAttachedAnswersOnesAndNotOneByteMore() throws Exception {
    io(IN, 0xffff, 2, 0, 0);

    Outcome outcome = bus.onIo(VCPU, run);

    assertThat(outcome).isEqualTo(Outcome.RUNS_ON);
    assertThat(page.getInt(DATA)).isEqualTo(-1);
    assertThat(page.getInt(DATA + 4)).isZero();
  }

  @Test
  void aWriteWhereNothingIsAttachedChangesNothing() throws Exception {
    io(OUT, 0x80, 1, 0x42);

    Outcome outcome = bus.onIo(VCPU, run);

    assertThat(outcome).isEqualTo(Outcome.RUNS_ON);
    assertThat(page.getInt(DATA)).isEqualTo(0x42);
    assertThat(words).isEmpty();
  }

  @Test
  void aReadOfMemoryThatIsNotThereAnswersOnes() throws Exception {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, 0xfed00000L);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) 0);

    bus.onMmio(VCPU, run);

    assertThat(page.getLong(KvmRun.MMIO_DATA)).isEqualTo(-1);
  }

  @Test
  void aWriteToMemoryThatIsNotThereIsDropped() throws Exception {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, 0xfed00000L);
    page.putLong(KvmRun.MMIO_DATA, 0x42);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) 1);

    bus.onMmio(VCPU, run);

    assertThat(page.getLong(KvmRun.MMIO_DATA)).isEqualTo(0x42);
  }

  private void mmio(long address, int sizeBytes, boolean isWrite, int value) {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, address);
    page.putLong(KvmRun.MMIO_DATA, value);
    page.putInt(KvmRun.MMIO_LEN, sizeBytes);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) (isWrite ? 1 : 0));
  }

  @Test
  void whereThereAreNoPortsTheSameRegistersAreInMemory() throws Exception {
    long first = Arm64.REPORTS;
    bus.attachReports(first);

    mmio(first, 4, true, 0xdeadbeef);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
    mmio(first + 16, 4, true, 0);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.VCPU_IS_OFF);
    mmio(first + 24, 4, true, 0);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.GUEST_IS_OFF);

    assertThat(words).containsExactly("1: 0xdeadbeef");
  }

  @Test
  void aReadOfSuchARegisterAndANarrowWriteAreNothing() throws Exception {
    bus.attachReports(Arm64.REPORTS);

    mmio(Arm64.REPORTS, 2, true, 1);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
    mmio(Arm64.REPORTS + 16, 4, false, 1);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);

    assertThat(words).isEmpty();
  }
}
