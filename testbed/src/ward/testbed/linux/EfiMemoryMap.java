package ward.testbed.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/**
 * What a guest's RAM is used for, as UEFI says it (UEFI 2.10, 7.2.3): descriptors of version 1, 40
 * bytes each, in order of address. RAM that nobody has claimed is free.
 */
final class EfiMemoryMap {

  /** Types of memory, UEFI 2.10, table 7.10. */
  enum Type {
    LOADER_DATA(2),
    CONVENTIONAL(7),
    /** Tables that the operating system reads. */
    ACPI_RECLAIM(9),
    /** Memory that firmware goes on using, and that is never the operating system's. */
    ACPI_NVS(10);

    private final int number;

    Type(int number) {
      this.number = number;
    }
  }

  static final int DESCRIPTOR_BYTES = 40;
  static final int DESCRIPTOR_VERSION = 1;

  /** Write-back cacheable. */
  private static final long CACHEABLE = 1 << 3;

  private record Range(Type type, long address, long endAddress) {}

  private final List<Range> ranges = new ArrayList<>();

  /** Claims the pages that hold these bytes. */
  EfiMemoryMap with(Type type, long address, long lengthBytes) {
    long end = Pages.align(address + lengthBytes + Pages.SIZE_BYTES - 1);
    ranges.add(new Range(type, Pages.align(address), end));
    return this;
  }

  /**
   * The map of this RAM.
   *
   * @throws IllegalArgumentException if what was claimed overlaps or is not in the RAM
   */
  byte[] toBytes(List<GuestRegion> ram) {
    List<Range> all = new ArrayList<>();
    for (GuestRegion region : ram) {
      addRegion(all, region);
    }
    if (all.stream().filter(range -> range.type() != Type.CONVENTIONAL).count() != ranges.size()) {
      throw new IllegalArgumentException("of %s not all is in RAM: %s".formatted(ranges, ram));
    }
    ByteBuffer bytes =
        ByteBuffer.allocate(all.size() * DESCRIPTOR_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    all.forEach(range -> put(bytes, range));
    return bytes.array();
  }

  private void addRegion(List<Range> all, GuestRegion region) {
    long next = region.guestPhysicalAddress();
    for (Range range : ranges.stream().sorted(Comparator.comparingLong(Range::address)).toList()) {
      if (region.contains(range.address()) && range.endAddress() <= region.endAddress()) {
        addFree(all, next, range.address());
        all.add(range);
        next = range.endAddress();
      }
    }
    addFree(all, next, region.endAddress());
  }

  private static void addFree(List<Range> all, long address, long endAddress) {
    if (address > endAddress) {
      throw new IllegalArgumentException(
          "memory at 0x%x is claimed twice, up to 0x%x".formatted(endAddress, address));
    }
    if (address < endAddress) {
      all.add(new Range(Type.CONVENTIONAL, address, endAddress));
    }
  }

  private static void put(ByteBuffer bytes, Range range) {
    bytes.putInt(range.type().number).putInt(0);
    bytes.putLong(range.address()).putLong(0);
    bytes.putLong(range.endAddress() - range.address() >>> Pages.SHIFT);
    bytes.putLong(CACHEABLE);
  }
}
