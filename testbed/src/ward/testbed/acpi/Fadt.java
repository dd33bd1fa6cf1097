package ward.testbed.acpi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/** The fixed ACPI description table, ACPI 6.3, 5.2.9, of machines without any fixed hardware. */
final class Fadt {

  private static final int REVISION = 6;
  private static final int MINOR_REVISION = 3;
  private static final int LENGTH_BYTES = 276;

  private static final int BOOT_FLAGS_X86 = 109;
  private static final int FLAGS = 112;
  private static final int BOOT_FLAGS_ARM = 129;
  private static final int MINOR = 131;
  private static final int DSDT = 140;
  private static final int SLEEP_CONTROL = 244;
  private static final int SLEEP_STATUS = 256;

  /** Whatever is written there switches a guest of Ward off. */
  private static final int MACHINE_OFF = 0x502;

  /** There is nothing to read of a machine that is off; without an address Linux does not try. */
  private static final int NO_SUCH_STATUS = MACHINE_OFF + 1;

  private static final int WBINVD = 1;
  private static final int POWER_BUTTON_IS_A_DEVICE = 1 << 4;
  private static final int SLEEP_BUTTON_IS_A_DEVICE = 1 << 5;
  private static final int HARDWARE_REDUCED = 1 << 20;
  private static final int NO_VGA = 1 << 2;
  private static final int NO_CLOCK = 1 << 5;
  private static final int PSCI = 1;
  private static final int PSCI_BY_HVC = 1 << 1;

  private Fadt() {}

  static AcpiTable ofArm64(long dsdtAddress) {
    return table(body(dsdtAddress).putShort(at(BOOT_FLAGS_ARM), (short) (PSCI | PSCI_BY_HVC)));
  }

  static AcpiTable ofX86(long dsdtAddress) {
    ByteBuffer body = body(dsdtAddress);
    body.putShort(at(BOOT_FLAGS_X86), (short) (NO_VGA | NO_CLOCK));
    body.put(at(SLEEP_CONTROL), new TableBytes().port(MACHINE_OFF, Byte.SIZE).toArray());
    body.put(at(SLEEP_STATUS), new TableBytes().port(NO_SUCH_STATUS, Byte.SIZE).toArray());
    return table(body);
  }

  private static ByteBuffer body(long dsdtAddress) {
    ByteBuffer body = ByteBuffer.allocate(at(LENGTH_BYTES)).order(ByteOrder.LITTLE_ENDIAN);
    body.putInt(
        at(FLAGS), WBINVD | POWER_BUTTON_IS_A_DEVICE | SLEEP_BUTTON_IS_A_DEVICE | HARDWARE_REDUCED);
    body.put(at(MINOR), (byte) MINOR_REVISION);
    body.putLong(at(DSDT), dsdtAddress);
    return body;
  }

  /** The specification counts from the table's first byte. */
  private static int at(int offset) {
    return offset - AcpiTable.HEADER_BYTES;
  }

  private static AcpiTable table(ByteBuffer body) {
    return new AcpiTable("FACP", REVISION, body.array());
  }
}
