package ward.vcpu;

import ward.guest.MemoryKind;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.memory.GuestRegion;

/**
 * Where one region of a guest is in this process. No page of it exists when it is made.
 *
 * @param address the guest's mapping
 * @param secondAddress of the same bytes, for whoever brings them; the guest's mapping itself where
 *     there is no other
 */
record RegionMapping(Kernel kernel, long lengthBytes, long address, long secondAddress)
    implements AutoCloseable {

  static RegionMapping of(Kernel kernel, GuestRegion region, MemoryKind kind)
      throws KernelCallException {
    return switch (kind) {
      case ANONYMOUS -> anonymous(kernel, region.lengthBytes());
      case MEMFD -> ofFile(kernel, region.lengthBytes());
    };
  }

  private static RegionMapping anonymous(Kernel kernel, long lengthBytes)
      throws KernelCallException {
    long address = kernel.mapAnonymous(lengthBytes);
    return new RegionMapping(kernel, lengthBytes, address, address);
  }

  /** The file has no name and no descriptor afterwards: it lives as long as its two mappings. */
  private static RegionMapping ofFile(Kernel kernel, long lengthBytes) throws KernelCallException {
    try (Fd file = kernel.createMemfd("ward-guest", lengthBytes)) {
      long address = kernel.mapAligned(file, lengthBytes);
      try {
        long second = kernel.mapAligned(file, lengthBytes);
        return new RegionMapping(kernel, lengthBytes, address, second);
      } catch (KernelCallException e) {
        kernel.unmap(address, lengthBytes);
        throw e;
      }
    }
  }

  @Override
  public void close() {
    kernel.unmap(address, lengthBytes);
    if (secondAddress != address) {
      kernel.unmap(secondAddress, lengthBytes);
    }
  }
}
