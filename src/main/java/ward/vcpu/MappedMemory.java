package ward.vcpu;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import ward.guest.GuestMemory;
import ward.guest.MemoryKind;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/**
 * A guest's RAM in this process, one mapping for each region: memory of its own, or memory that
 * somebody else has mapped and unmaps.
 */
final class MappedMemory implements AutoCloseable {

  private final GuestMemory memory;
  private final List<RegionMapping> mappings;

  private MappedMemory(GuestMemory memory, List<RegionMapping> mappings) {
    this.memory = memory;
    this.mappings = mappings;
  }

  /** Memory that stays mapped when this is closed. */
  static MappedMemory borrow(GuestMemory memory) {
    return new MappedMemory(memory, List.of());
  }

  /** Maps every region or none. No page of it exists yet. */
  static MappedMemory of(Kernel kernel, GuestLayout layout, MemoryKind kind) throws IOException {
    List<RegionMapping> mappings = new ArrayList<>();
    try {
      for (GuestRegion region : layout.regions()) {
        mappings.add(RegionMapping.of(kernel, region, kind));
      }
    } catch (IOException e) {
      mappings.forEach(RegionMapping::close);
      throw e;
    }
    return new MappedMemory(memory(layout, kind, mappings), mappings);
  }

  private static GuestMemory memory(
      GuestLayout layout, MemoryKind kind, List<RegionMapping> mappings) {
    return new GuestMemory(
        layout,
        kind,
        mappings.stream().mapToLong(RegionMapping::address).toArray(),
        mappings.stream().mapToLong(RegionMapping::secondAddress).toArray());
  }

  GuestMemory memory() {
    return memory;
  }

  @Override
  public void close() {
    mappings.forEach(RegionMapping::close);
  }
}
