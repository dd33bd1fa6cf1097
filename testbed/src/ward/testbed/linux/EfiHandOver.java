package ward.testbed.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.UUID;
import java.util.zip.CRC32;

/**
 * What Linux's EFI stub passes to an arm64 kernel, made without UEFI: only so does the kernel take
 * ACPI tables. A system table (UEFI 2.10, 4.3) names one configuration table, the ACPI root
 * pointer; the memory map follows. There are no runtime services, so the command line must hold
 * {@link #PARAMETER}.
 *
 * <pre>
 * +0x000  system table    +0x080  configuration table    +0x0a0  vendor    +0x100  memory map
 * </pre>
 */
final class EfiHandOver {

  /** Without it the kernel would call the runtime services that are not there. */
  static final String PARAMETER = "efi=noruntime";

  private static final long SIGNATURE = 0x5453595320494249L;
  private static final int REVISION_2_10 = 2 << 16 | 100;
  private static final int SYSTEM_TABLE_BYTES = 120;
  private static final int CHECKSUM = 16;
  private static final int VENDOR_POINTER = 24;
  private static final int TABLE_COUNT = 104;
  private static final int TABLES_POINTER = 112;

  /** Of Debian's kernels, which do not take a hand-over without it; others do not look. */
  private static final int SECURE_BOOT_DISABLED = 2;

  private static final int TABLES = 0x80;
  private static final int VENDOR = 0xa0;
  private static final int MAP = 0x100;
  private static final UUID ACPI_2 = UUID.fromString("8868e871-e4f1-11d3-bc22-0080c73c8881");

  private final long address;
  private final long acpiRootPointer;
  private final byte[] map;

  /**
   * @param address where it will be, guest-physical; a multiple of 4 KiB
   */
  EfiHandOver(long address, long acpiRootPointer, byte[] map) {
    this.address = address;
    this.acpiRootPointer = acpiRootPointer;
    this.map = map;
  }

  /** Upper bound of the size with a map of that many descriptors. */
  static int sizeBytes(int descriptors) {
    return MAP + descriptors * EfiMemoryMap.DESCRIPTOR_BYTES;
  }

  /** What belongs at the address. */
  byte[] toBytes() {
    ByteBuffer bytes = ByteBuffer.allocate(MAP + map.length).order(ByteOrder.LITTLE_ENDIAN);
    bytes.putLong(SIGNATURE).putInt(REVISION_2_10).putInt(SYSTEM_TABLE_BYTES);
    bytes.putLong(VENDOR_POINTER, address + VENDOR);
    bytes.putLong(TABLE_COUNT, 1);
    bytes.putLong(TABLES_POINTER, address + TABLES);
    bytes.putInt(CHECKSUM, checksum(bytes));
    putTable(bytes.position(TABLES));
    bytes.position(VENDOR).put("ward".getBytes(StandardCharsets.UTF_16LE));
    return bytes.position(MAP).put(map).array();
  }

  private static int checksum(ByteBuffer systemTable) {
    CRC32 checksum = new CRC32();
    checksum.update(systemTable.array(), 0, SYSTEM_TABLE_BYTES);
    return (int) checksum.getValue();
  }

  private void putTable(ByteBuffer bytes) {
    long fields = ACPI_2.getMostSignificantBits();
    bytes.putInt((int) (fields >>> 32)).putShort((short) (fields >>> 16)).putShort((short) fields);
    bytes.putLong(Long.reverseBytes(ACPI_2.getLeastSignificantBits()));
    bytes.putLong(acpiRootPointer);
  }

  /** The properties by which the kernel finds it: drivers/firmware/efi/fdtparams.c in Linux. */
  void describe(DeviceTree.Node chosen) {
    chosen
        .pairs("linux,uefi-system-table", address)
        .pairs("linux,uefi-mmap-start", address + MAP)
        .cells("linux,uefi-mmap-size", map.length)
        .cells("linux,uefi-mmap-desc-size", EfiMemoryMap.DESCRIPTOR_BYTES)
        .cells("linux,uefi-mmap-desc-ver", EfiMemoryMap.DESCRIPTOR_VERSION)
        .cells("linux,uefi-secure-boot", SECURE_BOOT_DISABLED);
  }
}
