package ward.testbed.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * What a loader tells an x86 kernel, {@code struct boot_params} of {@code asm/bootparam.h} ("zero
 * page").
 */
final class BootParameters {

  static final int BYTES = 4096;

  private static final int E820_COUNT = 0x1e8;
  private static final int E820_TABLE = 0x2d0;
  private static final int E820_ENTRY_BYTES = 20;
  private static final int E820_RAM = 1;
  private static final int E820_RESERVED = 2;

  private static final int TYPE_OF_LOADER = 0x210;
  private static final byte UNDEFINED_LOADER = (byte) 0xff;
  private static final int RAMDISK_IMAGE = 0x218;
  private static final int RAMDISK_SIZE = 0x21c;
  private static final int COMMAND_LINE_POINTER = 0x228;

  private final ByteBuffer page = ByteBuffer.allocate(BYTES).order(ByteOrder.LITTLE_ENDIAN);

  BootParameters(BzImage kernel) {
    page.put(BzImage.HEADER, kernel.header());
    page.put(TYPE_OF_LOADER, UNDEFINED_LOADER);
  }

  void ramDisk(long address, int bytes) {
    page.putInt(RAMDISK_IMAGE, (int) address);
    page.putInt(RAMDISK_SIZE, bytes);
  }

  void commandLine(long address) {
    page.putInt(COMMAND_LINE_POINTER, (int) address);
  }

  void ram(long from, long to) {
    memory(from, to, E820_RAM);
  }

  void reserved(long from, long to) {
    memory(from, to, E820_RESERVED);
  }

  private void memory(long from, long to, int type) {
    int count = page.get(E820_COUNT);
    int entry = E820_TABLE + count * E820_ENTRY_BYTES;
    page.putLong(entry, from);
    page.putLong(entry + 8, to - from);
    page.putInt(entry + 16, type);
    page.put(E820_COUNT, (byte) (count + 1));
  }

  byte[] bytes() {
    return page.array().clone();
  }
}
