package ward.memory;

/**
 * A stretch of guest RAM without holes.
 *
 * @param guestPhysicalAddress of the first byte; a multiple of 4 KiB
 * @param lengthBytes a positive multiple of 4 KiB
 * @param fileOffset where the region starts in the memory file, bytes; a multiple of 4 KiB
 */
public record GuestRegion(long guestPhysicalAddress, long lengthBytes, long fileOffset) {

  /** No x86-64 or arm64 machine addresses more physical memory than 2^52 bytes. */
  public static final long MAX_ADDRESS = 1L << 52;

  /**
   * @throws IllegalArgumentException naming the number that is not allowed
   */
  public GuestRegion {
    requireAligned("guestPhysicalAddress", guestPhysicalAddress);
    requireAligned("lengthBytes", lengthBytes);
    requireAligned("fileOffset", fileOffset);
    if (lengthBytes == 0) {
      throw new IllegalArgumentException(
          "region at 0x%x has lengthBytes 0; at least one page of 4096 bytes is needed"
              .formatted(guestPhysicalAddress));
    }
    if (lengthBytes > MAX_ADDRESS - guestPhysicalAddress) {
      throw new IllegalArgumentException(
          "region at 0x%x of 0x%x bytes ends above 2^52, the most a guest can address"
              .formatted(guestPhysicalAddress, lengthBytes));
    }
  }

  private static void requireAligned(String name, long value) {
    if (value < 0 || value > MAX_ADDRESS || !Pages.isAligned(value)) {
      throw new IllegalArgumentException(
          "%s 0x%x; a multiple of 4096 from 0 to 2^52 is allowed".formatted(name, value));
    }
  }

  /** The address after the last byte. */
  public long endAddress() {
    return guestPhysicalAddress + lengthBytes;
  }

  public long pageCount() {
    return lengthBytes >>> Pages.SHIFT;
  }

  /** Whether the byte at this guest-physical address belongs to the region. */
  public boolean contains(long address) {
    return address >= guestPhysicalAddress && address < endAddress();
  }
}
