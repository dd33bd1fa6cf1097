package ward.vcpu;

import java.util.List;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/** A guest's RAM as private anonymous memory of this process, one mapping for each region. */
final class MappedMemory implements AutoCloseable {

  private final Kernel kernel;
  private final GuestMemory memory;

  private MappedMemory(Kernel kernel, GuestMemory memory) {
    this.kernel = kernel;
    this.memory = memory;
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
    return new MappedMemory(kernel, new GuestMemory(layout, addresses));
  }

  GuestMemory memory() {
    return memory;
  }

  @Override
  public void close() {
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
