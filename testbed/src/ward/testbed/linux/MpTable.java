package ward.testbed.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;

/**
 * Tells an operating system without ACPI which processors and interrupt controllers there are:
 * without it Linux leaves the local APIC's timer alone.
 *
 * @see <a href="https://pdos.csail.mit.edu/6.828/2018/readings/ia32/MPspec.pdf">Intel
 *     MultiProcessor Specification 1.4, chapter 4</a>
 */
final class MpTable {

  /** Size of the floating pointer, which stands first. */
  private static final int POINTER_BYTES = 16;

  private static final int HEADER_BYTES = 44;
  private static final int CHECKSUM_OF_POINTER = 10;
  private static final int CHECKSUM_OF_TABLE = 7;
  private static final int LENGTH = 4;
  private static final int ENTRY_COUNT = 34;

  private static final byte REVISION = 4;
  private static final int LOCAL_APIC = 0xfee00000;
  private static final int IO_APIC = 0xfec00000;
  private static final byte APIC_VERSION = 0x14;
  private static final byte IO_APIC_VERSION = 0x11;

  private static final byte PROCESSOR = 0;
  private static final byte BUS = 1;
  private static final byte IO_INTERRUPT_CONTROLLER = 2;
  private static final byte IO_INTERRUPT = 3;
  private static final byte LOCAL_INTERRUPT = 4;

  private static final byte ENABLED = 1;
  private static final byte BOOT_PROCESSOR = 2;
  private static final byte INTERRUPT = 0;
  private static final byte NON_MASKABLE = 1;
  private static final byte EXTERNAL = 3;
  private static final byte EVERY_APIC = (byte) 0xff;
  private static final int ISA_INTERRUPTS = 16;
  private static final int CASCADE = 2;

  private final ByteBuffer bytes = ByteBuffer.allocate(1024).order(ByteOrder.LITTLE_ENDIAN);
  private int entries;

  private MpTable() {}

  /**
   * @param address guest-physical, of the floating pointer; it has to be where systems look for it
   * @param vcpus whose APIC ids are 0, 1, 2...
   */
  static byte[] at(long address, int vcpus) {
    MpTable table = new MpTable();
    table.writePointer(address);
    table.writeHeader();
    table.writeEntries(vcpus);
    return table.finished();
  }

  private void writePointer(long address) {
    bytes.put(ascii("_MP_")).putInt((int) address + POINTER_BYTES);
    bytes.put((byte) 1).put(REVISION);
    bytes.position(POINTER_BYTES);
  }

  private void writeHeader() {
    bytes.put(ascii("PCMP")).putShort((short) 0).put(REVISION).put((byte) 0);
    bytes.put(ascii("WARD    ")).put(ascii("TESTBED     "));
    bytes.putInt(0).putShort((short) 0).putShort((short) 0).putInt(LOCAL_APIC);
    bytes.position(POINTER_BYTES + HEADER_BYTES);
  }

  private void writeEntries(int vcpus) {
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      byte boot = vcpu == 0 ? BOOT_PROCESSOR : 0;
      entry(PROCESSOR, (byte) vcpu, APIC_VERSION, (byte) (ENABLED | boot));
      bytes.putInt(0).putInt(0).putLong(0);
    }
    entry(BUS, (byte) 0);
    bytes.put(ascii("ISA   "));
    byte ioApic = (byte) vcpus;
    entry(IO_INTERRUPT_CONTROLLER, ioApic, IO_APIC_VERSION, ENABLED);
    bytes.putInt(IO_APIC);
    for (byte interrupt = 0; interrupt < ISA_INTERRUPTS; interrupt++) {
      if (interrupt != CASCADE) {
        entry(IO_INTERRUPT, INTERRUPT, (byte) 0, (byte) 0);
        bytes.put((byte) 0).put(interrupt).put(ioApic).put(interrupt);
      }
    }
    localInterrupt(EXTERNAL, (byte) 0);
    localInterrupt(NON_MASKABLE, (byte) 1);
  }

  private void localInterrupt(byte type, byte input) {
    entry(LOCAL_INTERRUPT, type, (byte) 0, (byte) 0);
    bytes.put((byte) 0).put((byte) 0).put(EVERY_APIC).put(input);
  }

  private void entry(byte... first) {
    bytes.put(first);
    entries++;
  }

  private byte[] finished() {
    int length = bytes.position() - POINTER_BYTES;
    bytes.putShort(POINTER_BYTES + LENGTH, (short) length);
    bytes.putShort(POINTER_BYTES + ENTRY_COUNT, (short) entries);
    byte[] table = new byte[bytes.position()];
    bytes.flip().get(table);
    table[CHECKSUM_OF_POINTER] = checksum(table, 0, POINTER_BYTES);
    table[POINTER_BYTES + CHECKSUM_OF_TABLE] = checksum(table, POINTER_BYTES, length);
    return table;
  }

  /** What makes the sum of all bytes zero. */
  private static byte checksum(byte[] table, int from, int length) {
    int sum = 0;
    for (int i = 0; i < length; i++) {
      sum += table[from + i];
    }
    return (byte) -sum;
  }

  private static byte[] ascii(String text) {
    return text.getBytes(StandardCharsets.US_ASCII);
  }
}
