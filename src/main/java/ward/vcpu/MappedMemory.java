package ward.vcpu;

import java.util.List;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/**
 * A guest's RAM in this process, one mapping for each region: private anonymous memory of its own,
 * or memory that somebody else has mapped and unmaps.
 */
final class MappedMemory implements AutoCloseable {

  private final Kernel kernel;
  private final GuestMemory memory;

  private final boolean borrowed;

  private MappedMemory(Kernel kernel, GuestMemory memory, boolean borrowed) {
    this.kernel = kernel;
    this.memory = memory;
    this.borrowed = borrowed;
  }

  /** Memory that stays mapped when this is closed. */
  static MappedMemory borrow(Kernel kernel, GuestMemory memory) {
    return new MappedMemory(kernel, memory, true);
  }

  /** Maps every region or none. No page of it exists yet. */
  static MappedMemory of(Kernel kernel, GuestLayout layout) throws KernelCallException {
    List<GuestRegion> regions = layout.regions();
    long[] addresses = new long[regions.size()];
    for (int i = 0; i < addresses.length; i++) {
      try {
        addresses[i] = kernel.mapAnonymous(regions.get(i).lengthBytes());
      } catch (KernelCallException e) {
        unmap(kernel, regions.subList(0, i), addresses);
        throw e;
      }
    }
    return new MappedMemory(kernel, new GuestMemory(layout, addresses), false);
  }

  GuestMemory memory() {
    return memory;
  }

  @Override
  public void close() {
    if (borrowed) {
      return;
    }
    List<GuestRegion> regions = memory.layout().regions();
    long[] addresses = new long[regions.size()];
    for (int i = 0; i < addresses.length; i++) {
      addresses[i] = memory.hostAddressOfRegion(i);
    }
    unmap(kernel, regions, addresses);
  }

  private static void unmap(Kernel kernel, List<GuestRegion> regions, long[] addresses) {
    for (int i = 0; i < regions.size(); i++) {
      kernel.unmap(addresses[i], regions.get(i).lengthBytes());
    }
  }
}
