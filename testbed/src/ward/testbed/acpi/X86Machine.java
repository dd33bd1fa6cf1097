package ward.testbed.acpi;

import java.util.ArrayList;
import java.util.List;

/**
 * An x86-64 machine with local APICs, one I/O APIC and a 16550 at the first serial port, and none
 * of the older hardware that ACPI calls fixed. Linux then does not look for the old timer (PIT)
 * either, and takes its clock from KVM.
 *
 * @param cpus 1 to 16; APIC ids from 0
 */
public record X86Machine(int cpus) {

  private static final int CPUS_MAX = 16;
  private static final long LOCAL_APIC = 0xfee0_0000L;
  private static final long IO_APIC = 0xfec0_0000L;
  private static final int UART = 0x3f8;
  private static final int UART_PORTS = 8;
  private static final int UART_INTERRUPT = 4;
  private static final int MADT_REVISION = 5;
  private static final int PC_AT_COMPATIBLE = 1;

  public X86Machine {
    if (cpus < 1 || cpus > CPUS_MAX) {
      throw new IllegalArgumentException(
          "%d processors; 1 to %d are allowed".formatted(cpus, CPUS_MAX));
    }
  }

  AcpiTable madt() {
    // KVM's in-kernel interrupt controllers include the two old ones.
    TableBytes body = new TableBytes().u32(LOCAL_APIC).u32(PC_AT_COMPATIBLE);
    for (int cpu = 0; cpu < cpus; cpu++) {
      body.u8(0).u8(8).u8(cpu).u8(cpu).u32(1);
    }
    body.u8(1).u8(12).u8(cpus).u8(0).u32(IO_APIC).u32(0);
    return new AcpiTable("APIC", MADT_REVISION, body.toArray());
  }

  AcpiTable spcr() {
    return Spcr.of(
        Spcr.UART_16550, new TableBytes().port(UART, Byte.SIZE), Spcr.IO_APIC, UART_INTERRUPT);
  }

  AcpiTable dsdt() {
    List<byte[]> devices = new ArrayList<>(Dsdt.processors(cpus));
    devices.add(
        Dsdt.serialPort(
            "PNP0501",
            Aml.ports(UART, UART_PORTS),
            Aml.interrupt(UART_INTERRUPT, /* isEdge= */ true)));
    return Dsdt.of(devices, Dsdt.switchingOff());
  }
}
