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

  @Test
  void aWriteToTheMachinesPortEndsTheWholeGuest() throws Exception {
    io(OUT, DeviceBus.MACHINE_OFF, 1, 0);

    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.GUEST_IS_OFF);
  }

  @Test
  void theKeyboardControllersResetPulseResetsTheGuestAndNoOtherCommandDoes() throws Exception {
    io(OUT, DeviceBus.KEYBOARD_CONTROLLER, 1, 0xfe);
    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.GUEST_RESETS);

    io(OUT, DeviceBus.KEYBOARD_CONTROLLER, 1, 0xd1);
    assertThat(bus.onIo(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
  }

  /** Four registers; writes are heard as {@code register=value}, register N reads as 0xN0. */
  private final class FourRegisters implements ByteRegisters {

    @Override
    public int count() {
      return 4;
    }

    @Override
    public int read(int register) {
      return register << 4;
    }

    @Override
    public void write(int register, int value) {
      words.add("%d=0x%x".formatted(register, value));
    }
  }

  @Test
  void anAccessReachesTheDeviceAtItsPort() throws Exception {
    bus.attachPorts(0x3f8, new FourRegisters());

    io(OUT, 0x3fa, 1, 0x42);
    Outcome written = bus.onIo(VCPU, run);
    io(IN, 0x3fb, 1, 0);
    Outcome read = bus.onIo(VCPU, run);

    assertThat(List.of(written, read)).containsOnly(Outcome.RUNS_ON);
    assertThat(words).containsExactly("2=0x42");
    assertThat(page.getByte(DATA)).isEqualTo((byte) 0x30);
  }

  @Test
  void aWideAccessReachesTheRegistersBehindAndOnesWhereTheyEnd() throws Exception {
    bus.attachPorts(0x3f8, new FourRegisters());

    io(IN, 0x3fa, 4, 0);
    bus.onIo(VCPU, run);
    io(OUT, 0x3fb, 2, 0xaabb);
    bus.onIo(VCPU, run);

    assertThat(words).containsExactly("3=0xbb");
    io(IN, 0x3fa, 4, 0);
    bus.onIo(VCPU, run);
    assertThat(page.getInt(DATA)).isEqualTo(0xffff3020);
  }

  @Test
  void aStringInstructionReachesOneRegisterAgainAndAgain() throws Exception {
    bus.attachPorts(0x3f8, new FourRegisters());

    io(OUT, 0x3f8, 1, 'a', 'b', 'c');
    bus.onIo(VCPU, run);

    assertThat(words).containsExactly("0=0x61", "0=0x62", "0=0x63");
  }

  @Test
  void aPortBesideTheDeviceIsEmpty() throws Exception {
    bus.attachPorts(0x3f8, new FourRegisters());

    io(IN, 0x3fc, 1, 0);
    bus.onIo(VCPU, run);

    assertThat(page.getByte(DATA)).isEqualTo((byte) -1);
  }

  private void mmio(boolean write, long address, int sizeBytes, long value) {
    page.putLong(KvmRun.MMIO_PHYS_ADDR, address);
    page.putByte(KvmRun.MMIO_IS_WRITE, (byte) (write ? 1 : 0));
    page.putInt(KvmRun.MMIO_LEN, sizeBytes);
    page.putLong(KvmRun.MMIO_DATA, value);
  }

  @Test
  void aDeviceInMemoryHasItsRegistersAtTheirDistance() throws Exception {
    bus.attachMemory(0x900_0000L, 2, new FourRegisters());

    mmio(true, 0x900_0008L, 4, 0x1142);
    bus.onMmio(VCPU, run);
    mmio(false, 0x900_000cL, 4, 0);
    bus.onMmio(VCPU, run);

    assertThat(words).containsExactly("2=0x42");
    assertThat(page.getInt(KvmRun.MMIO_DATA)).isEqualTo(0xffffff30);
  }

  @Test
  void whatTravelsIsAskedForWhenTheGuestIsSaved() {
    bus.travelsWith("ward_serial", () -> new byte[] {1, 2});

    assertThat(bus.save()).containsOnlyKeys("ward_serial");
    assertThat(bus.save().get("ward_serial")).containsExactly(1, 2);
  }

  @Test
  void whereThereAreNoPortsTheSameRegistersAreInMemory() throws Exception {
    long first = Arm64.REPORTS;
    bus.attachReports(first);

    mmio(true, first, 4, 0xdeadbeef);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
    mmio(true, first + 16, 4, 0);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.VCPU_IS_OFF);
    mmio(true, first + 24, 4, 0);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.GUEST_IS_OFF);

    assertThat(words).containsExactly("1: 0xdeadbeef");
  }

  @Test
  void aReadOfSuchARegisterAndANarrowWriteAreNothing() throws Exception {
    bus.attachReports(Arm64.REPORTS);

    mmio(true, Arm64.REPORTS, 2, 1);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);
    mmio(false, Arm64.REPORTS + 16, 4, 1);
    assertThat(bus.onMmio(VCPU, run)).isEqualTo(Outcome.RUNS_ON);

    assertThat(words).isEmpty();
  }
}
