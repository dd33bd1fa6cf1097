package ward.testbed.acpi;

import java.util.ArrayList;
import java.util.List;

/**
 * An arm64 machine with a GICv3, the architected timer, PSCI by HVC and a serial port. All
 * addresses are guest-physical.
 *
 * @param cpus 1 to 16, in one cluster
 * @param distributor the GIC's
 * @param redistributors of all processors, one after the other
 * @param uart where the serial port's registers begin
 * @param uartInterrupt the interrupt's number as the GIC counts: 32 is the first shared one
 */
public record Arm64Machine(
    int cpus,
    long distributor,
    long redistributors,
    int redistributorsBytes,
    SerialPort serialPort,
    long uart,
    int uartInterrupt) {

  /** A kind of serial port. */
  public enum SerialPort {
    /** Arm's own. */
    PL011("ARMH0011", Spcr.PL011, Integer.SIZE),
    /** A PC's, whose registers are a byte each. */
    UART_16550("PNP0501", Spcr.UART_16550, Byte.SIZE);

    private final String hardwareId;
    private final int consoleType;
    private final int registerBits;

    SerialPort(String hardwareId, int consoleType, int registerBits) {
      this.hardwareId = hardwareId;
      this.consoleType = consoleType;
      this.registerBits = registerBits;
    }
  }

  /** Bytes of each processor's redistributor: two frames of 64 KiB. */
  public static final int REDISTRIBUTOR_BYTES = 0x20000;

  private static final int CPUS_MAX = 16;
  private static final int UART_BYTES = 0x1000;

  /** MADT, ACPI 6.3, 5.2.12: the last that the common disassemblers know. */
  private static final int MADT_REVISION = 5;

  private static final int GICC = 0x0b;
  private static final int GICC_BYTES = 80;
  private static final int GICD = 0x0c;
  private static final int GICD_BYTES = 24;
  private static final int GICR = 0x0e;
  private static final int GICR_BYTES = 16;
  private static final int ENABLED = 1;
  private static final int GIC_VERSION = 3;

  /** The interrupts that Arm's Base System Architecture gives the timers. */
  private static final int SECURE_TIMER = 29;

  private static final int PHYSICAL_TIMER = 30;
  private static final int VIRTUAL_TIMER = 27;
  private static final int HYPERVISOR_TIMER = 26;
  private static final int LEVEL_ALWAYS_ON = 1 << 2;
  private static final long NOT_PRESENT = -1;

  public Arm64Machine {
    if (cpus < 1 || cpus > CPUS_MAX) {
      throw new IllegalArgumentException(
          "%d processors; 1 to %d are allowed".formatted(cpus, CPUS_MAX));
    }
    if (redistributorsBytes < cpus * REDISTRIBUTOR_BYTES) {
      throw new IllegalArgumentException(
          "redistributorsBytes 0x%x; %d processors need 0x%x"
              .formatted(redistributorsBytes, cpus, cpus * REDISTRIBUTOR_BYTES));
    }
  }

  /** The machine that QEMU calls {@code virt,gic-version=3}. */
  public static Arm64Machine ofQemu(int cpus) {
    return new Arm64Machine(
        cpus, 0x0800_0000L, 0x080a_0000L, 0xf6_0000, SerialPort.PL011, 0x0900_0000L, 33);
  }

  /** The machine that Ward gives an arm64 guest. */
  public static Arm64Machine ofWard(int cpus) {
    return new Arm64Machine(
        cpus,
        0x0800_0000L,
        0x080a_0000L,
        cpus * REDISTRIBUTOR_BYTES,
        SerialPort.UART_16550,
        0x0900_0000L,
        33);
  }

  AcpiTable madt() {
    TableBytes body = new TableBytes().u32(0).u32(0);
    body.u8(GICD).u8(GICD_BYTES).u16(0).u32(0).u64(distributor).u32(0).u8(GIC_VERSION).zeros(3);
    for (int cpu = 0; cpu < cpus; cpu++) {
      putProcessor(body, cpu);
    }
    body.u8(GICR).u8(GICR_BYTES).u16(0).u64(redistributors).u32(redistributorsBytes);
    return new AcpiTable("APIC", MADT_REVISION, body.toArray());
  }

  private static void putProcessor(TableBytes body, int cpu) {
    int parkingAndPerformance = 2 * Integer.BYTES + Long.BYTES;
    int interfaceAddresses = 3 * Long.BYTES + Integer.BYTES + Long.BYTES;
    body.u8(GICC).u8(GICC_BYTES).u16(0).u32(cpu).u32(cpu).u32(ENABLED);
    body.zeros(parkingAndPerformance).zeros(interfaceAddresses);
    // MPIDR: the affinity in its cluster; then efficiency class and interrupts that are not there.
    body.u64(cpu).u32(0);
  }

  AcpiTable gtdt() {
    TableBytes body = new TableBytes().u64(NOT_PRESENT).u32(0);
    for (int timer : new int[] {SECURE_TIMER, PHYSICAL_TIMER, VIRTUAL_TIMER, HYPERVISOR_TIMER}) {
      body.u32(timer).u32(LEVEL_ALWAYS_ON);
    }
    // The counter's read frame; no platform timers; no virtual timer of EL2.
    body.u64(NOT_PRESENT).u32(0).u32(0).u32(0).u32(0);
    return new AcpiTable("GTDT", 3, body.toArray());
  }

  AcpiTable spcr() {
    return Spcr.of(
        serialPort.consoleType,
        new TableBytes().register(uart, serialPort.registerBits),
        Spcr.GIC,
        uartInterrupt);
  }

  AcpiTable dsdt() {
    List<byte[]> devices = new ArrayList<>(Dsdt.processors(cpus));
    devices.add(
        Dsdt.serialPort(
            serialPort.hardwareId,
            Aml.memory32(uart, UART_BYTES),
            Aml.interrupt(uartInterrupt, /* isEdge= */ false)));
    return Dsdt.of(devices);
  }
}
