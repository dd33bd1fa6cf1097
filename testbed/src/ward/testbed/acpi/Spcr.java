package ward.testbed.acpi;

/** The serial port console redirection table, revision 2: which port is the console. */
final class Spcr {

  static final int UART_16550 = 0;
  static final int PL011 = 3;
  static final int IO_APIC = 1 << 1;
  static final int GIC = 1 << 3;

  private static final int BAUD_115200 = 7;
  private static final int ONE_STOP_BIT = 1;
  private static final int ANSI = 3;
  private static final int NO_PCI_DEVICE = 0xffff;

  private Spcr() {}

  static AcpiTable of(int interfaceType, TableBytes register, int interruptType, int interrupt) {
    TableBytes body = new TableBytes().u8(interfaceType).zeros(3).raw(register.toArray());
    body.u8(interruptType).u8(0).u32(interrupt);
    // Baud, parity, stop bits, flow control, terminal, language.
    body.u8(BAUD_115200).u8(0).u8(ONE_STOP_BIT).u8(0).u8(ANSI).u8(0);
    body.u16(NO_PCI_DEVICE).u16(NO_PCI_DEVICE).zeros(12);
    return new AcpiTable("SPCR", 2, body.toArray());
  }
}
