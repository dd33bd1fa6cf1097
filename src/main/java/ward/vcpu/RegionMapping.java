package ward.vcpu;

import java.io.IOException;
import ward.guest.MemoryKind;
import ward.guest.UnfitGuestException;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/**
 * Where one region of a guest is in this process. No page of it exists when it is made.
 *
 * @param address the guest's mapping
 * @param secondAddress of the same bytes, for whoever brings them; the guest's mapping itself where
 *     there is no other
 */
record RegionMapping(Kernel kernel, long lengthBytes, long address, long secondAddress)
    implements AutoCloseable {

  private static final String NAME = "ward-guest";
  private static final long HUGE_BYTES = Pages.bytes(MemoryKind.HUGETLB.unitPages());

  static RegionMapping of(Kernel kernel, GuestRegion region, MemoryKind kind) throws IOException {
    return switch (kind) {
      case ANONYMOUS -> anonymous(kernel, region.lengthBytes());
      case MEMFD -> ofFile(kernel, kernel.createMemfd(NAME, region.lengthBytes()), region);
      case HUGETLB -> ofHugePages(kernel, region);
    };
  }

  private static RegionMapping ofHugePages(Kernel kernel, GuestRegion region) throws IOException {
    if (!isHuge(region.guestPhysicalAddress()) || !isHuge(region.lengthBytes())) {
      throw new UnfitGuestException(
          "the guest's RAM at 0x%x, 0x%x bytes, does not consist of whole huge pages of 2 MiB; choose another --memory"
              .formatted(region.guestPhysicalAddress(), region.lengthBytes()));
    }
    try {
      return ofFile(kernel, kernel.createHugeMemfd(NAME, region.lengthBytes()), region);
    } catch (KernelCallException e) {
      throw new IOException(
          "%s; the guest's RAM at 0x%x takes %d huge pages of 2 MiB: set aside as many for it (sysctl vm.nr_hugepages), or choose another --memory"
              .formatted(
                  e.getMessage(), region.guestPhysicalAddress(), region.lengthBytes() / HUGE_BYTES),
          e);
    }
  }

  private static boolean isHuge(long bytes) {
    return bytes % HUGE_BYTES == 0;
  }

  private static RegionMapping anonymous(Kernel kernel, long lengthBytes)
      throws KernelCallException {
    long address = kernel.mapAnonymous(lengthBytes);
    return new RegionMapping(kernel, lengthBytes, address, address);
  }

  /** The file has no name and no descriptor afterwards: it lives as long as its two mappings. */
  private static RegionMapping ofFile(Kernel kernel, Fd opened, GuestRegion region)
      throws KernelCallException {
    long lengthBytes = region.lengthBytes();
    try (Fd file = opened) {
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
