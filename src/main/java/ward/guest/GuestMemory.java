package ward.guest;

import java.util.OptionalLong;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;

/**
 * Where a guest's RAM is mapped in this process: the translation between page indexes and
 * host-virtual addresses (HVA).
 *
 * <p>Addresses only. No Java thread ever loads from or stores to one: a fault on a missing page
 * would hold every safepoint of the JVM.
 */
public final class GuestMemory {

  /** No page. */
  public static final long NONE = -1;

  private final GuestLayout layout;
  private final MemoryKind kind;
  private final long[] hostAddresses;
  private final long[] secondAddresses;

  /**
   * Anonymous memory, or memory of which nothing else is known.
   *
   * @param hostAddresses of the first byte of each region, in the order of the layout's regions
   */
  public GuestMemory(GuestLayout layout, long[] hostAddresses) {
    this(layout, MemoryKind.ANONYMOUS, hostAddresses, hostAddresses);
  }

  /**
   * @param hostAddresses of the first byte of each region, in the order of the layout's regions
   * @param secondAddresses of the same bytes where no userfaultfd watches them; where there is no
   *     such mapping, the same addresses
   */
  public GuestMemory(
      GuestLayout layout, MemoryKind kind, long[] hostAddresses, long[] secondAddresses) {
    requireOneForEachRegion(layout, hostAddresses);
    requireOneForEachRegion(layout, secondAddresses);
    this.layout = layout;
    this.kind = kind;
    this.hostAddresses = hostAddresses.clone();
    this.secondAddresses = secondAddresses.clone();
  }

  private static void requireOneForEachRegion(GuestLayout layout, long[] addresses) {
    if (addresses.length != layout.regions().size()) {
      throw new IllegalArgumentException(
          "%d addresses for %d regions".formatted(addresses.length, layout.regions().size()));
    }
  }

  public GuestLayout layout() {
    return layout;
  }

  /** The host-virtual address of a region's first byte. */
  public long hostAddressOfRegion(int region) {
    return hostAddresses[region];
  }

  public MemoryKind kind() {
    return kind;
  }

  /**
   * Where a page can be written without the guest's mapping: host-virtual, not watched. What is
   * written there is seen by the guest once its own mapping has the page.
   */
  public long secondAddressOf(long page) {
    int region = layout.regionOf(page);
    return secondAddresses[region] + Pages.bytes(page - layout.firstPageOf(region));
  }

  /** The host-virtual address of a page's first byte. */
  public long hostAddressOf(long page) {
    int region = layout.regionOf(page);
    return hostAddresses[region] + Pages.bytes(page - layout.firstPageOf(region));
  }

  /** The page that holds the byte at a host-virtual address; empty if that is not guest RAM. */
  public OptionalLong pageAtHostAddress(long address) {
    long page = pageOrNone(address);
    return page == NONE ? OptionalLong.empty() : OptionalLong.of(page);
  }

  /** The same without an object, for the way of a fault; {@link #NONE} if it is not guest RAM. */
  public long pageOrNone(long address) {
    for (int i = 0; i < hostAddresses.length; i++) {
      GuestRegion region = layout.regions().get(i);
      long offset = address - hostAddresses[i];
      if (offset >= 0 && offset < region.lengthBytes()) {
        return layout.firstPageOf(i) + (offset >>> Pages.SHIFT);
      }
    }
    return NONE;
  }
}
