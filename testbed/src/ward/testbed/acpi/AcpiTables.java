package ward.testbed.acpi;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.LongFunction;
import ward.vcpu.GhesLayout;

/**
 * All ACPI tables of a machine in one piece, which belongs at one guest-physical address. The root
 * pointer comes first.
 */
public final class AcpiTables {

  private static final int ALIGNMENT_BYTES = 16;
  private static final int ROOT_POINTER_BYTES = 36;
  private static final int ROOT_POINTER_BYTES_OF_ACPI_1 = 20;
  private static final int ROOT_POINTER_CHECKSUM = 8;
  private static final int ROOT_POINTER_EXTENDED_CHECKSUM = 32;

  private final long address;
  private final TableBytes bytes = new TableBytes();
  private final Map<String, byte[]> tables = new LinkedHashMap<>();
  private final byte[] rootPointer;

  /**
   * @param fadt by the address of the DSDT
   */
  private AcpiTables(
      long address,
      AcpiTable dsdt,
      LongFunction<AcpiTable> fadt,
      List<AcpiTable> others,
      GhesLayout ghes) {
    if (address % ALIGNMENT_BYTES != 0) {
      throw new IllegalArgumentException(
          "tables at 0x%x; a multiple of %d is allowed".formatted(address, ALIGNMENT_BYTES));
    }
    this.address = address;
    bytes.zeros(aligned(ROOT_POINTER_BYTES));
    List<AcpiTable> listed = new ArrayList<>(List.of(fadt.apply(put(dsdt))));
    listed.addAll(others);
    if (!ghes.sources().isEmpty()) {
      listed.add(Hest.of(ghes));
    }
    TableBytes addresses = new TableBytes();
    listed.forEach(table -> addresses.u64(put(table)));
    rootPointer = rootPointer(put(new AcpiTable("XSDT", 1, addresses.toArray())));
  }

  /**
   * @param ghes the guest's error sources; may be empty, and there is no HEST then
   * @param address where the tables will be, guest-physical; a multiple of 16
   */
  public static AcpiTables ofArm64(Arm64Machine machine, GhesLayout ghes, long address) {
    return new AcpiTables(
        address,
        machine.dsdt(),
        Fadt::ofArm64,
        List.of(machine.madt(), machine.gtdt(), machine.spcr()),
        ghes);
  }

  /** The same for x86-64; without firmware Linux looks for the root pointer from 0xe0000 on. */
  public static AcpiTables ofX86(X86Machine machine, GhesLayout ghes, long address) {
    return new AcpiTables(
        address, machine.dsdt(), Fadt::ofX86, List.of(machine.madt(), machine.spcr()), ghes);
  }

  private long put(AcpiTable table) {
    long place = address + bytes.size();
    byte[] content = table.toBytes();
    tables.put(table.signature(), content);
    bytes.raw(content).zeros(aligned(bytes.size()) - bytes.size());
    return place;
  }

  private static int aligned(int sizeBytes) {
    return (sizeBytes + ALIGNMENT_BYTES - 1) & -ALIGNMENT_BYTES;
  }

  /** ACPI 6.5, 5.2.5.3. */
  private static byte[] rootPointer(long extendedTableAddress) {
    byte[] pointer =
        new TableBytes()
            .text("RSD PTR ")
            .u8(0)
            .text("WARD  ")
            .u8(2)
            .u32(0)
            .u32(ROOT_POINTER_BYTES)
            .u64(extendedTableAddress)
            .u32(0)
            .toArray();
    pointer[ROOT_POINTER_CHECKSUM] =
        AcpiTable.complementOfSum(pointer, ROOT_POINTER_BYTES_OF_ACPI_1);
    pointer[ROOT_POINTER_EXTENDED_CHECKSUM] =
        AcpiTable.complementOfSum(pointer, ROOT_POINTER_BYTES);
    return pointer;
  }

  /** Where the root pointer (RSDP) is, guest-physical. */
  public long rootPointerAddress() {
    return address;
  }

  /** What belongs at the address. */
  public byte[] toBytes() {
    byte[] all = bytes.toArray();
    System.arraycopy(rootPointer, 0, all, 0, rootPointer.length);
    return all;
  }

  /** Each table by its signature. */
  public Map<String, byte[]> tables() {
    return Map.copyOf(tables);
  }
}
