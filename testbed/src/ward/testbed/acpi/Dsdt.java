package ward.testbed.acpi;

import java.util.List;
import java.util.stream.IntStream;

/**
 * The differentiated system description table: what the machine has that cannot be found by itself.
 */
final class Dsdt {

  /** ACPI 6.5, 6.2.12.2: the platform reports errors by the tables of chapter 18. */
  private static final int APEI_SUPPORT = 1 << 4;

  private Dsdt() {}

  /**
   * @param globals terms outside of the scope of the devices
   */
  static AcpiTable of(List<byte[]> devices, byte[]... globals) {
    TableBytes all = new TableBytes().raw(Aml.granting(APEI_SUPPORT));
    devices.forEach(all::raw);
    TableBytes body = new TableBytes().raw(Aml.scope("_SB_", all.toArray()));
    for (byte[] term : globals) {
      body.raw(term);
    }
    return new AcpiTable("DSDT", 2, body.toArray());
  }

  /** {@code _S5} (7.4.2.6): the machine can be switched off, by sleep type 0. */
  static byte[] switchingOff() {
    byte[] unused = Aml.integer(0);
    return Aml.name("_S5_", Aml.list(Aml.integer(0), unused, unused, unused));
  }

  /** A device for each processor of the MADT, with the same UID. */
  static List<byte[]> processors(int count) {
    return IntStream.range(0, count)
        .mapToObj(
            cpu ->
                Aml.device(
                    "C%03X".formatted(cpu),
                    Aml.name("_HID", Aml.string("ACPI0007")),
                    Aml.name("_UID", Aml.integer(cpu))))
        .toList();
  }

  static byte[] serialPort(String hardwareId, byte[] registers, byte[] interrupt) {
    return Aml.device(
        "COM0",
        Aml.name("_HID", Aml.string(hardwareId)),
        Aml.name("_UID", Aml.integer(0)),
        Aml.name("_CRS", Aml.resources(registers, interrupt)));
  }
}
