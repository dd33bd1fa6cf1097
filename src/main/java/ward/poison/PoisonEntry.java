package ward.poison;

/**
 * One loss: an extent of guest memory whose content is gone.
 *
 * @param guestPhysicalAddress of the first lost byte; a multiple of {@code 1 << pageShift}
 * @param pageShift log2 of the lost extent in bytes, as in {@code siginfo_t.si_addr_lsb}: 12 for 4
 *     KiB, 21 for 2 MiB
 * @param origin stays the same over every hop
 */
public record PoisonEntry(
    long guestPhysicalAddress, int pageShift, Severity severity, Origin origin) {

  /** The smallest extent that is recorded: a page. */
  public static final int MIN_PAGE_SHIFT = 12;

  /** The largest: 1 GiB. */
  public static final int MAX_PAGE_SHIFT = 30;

  /**
   * @throws IllegalArgumentException if the extent's size is not allowed or the address is not
   *     aligned to it
   */
  public PoisonEntry {
    if (pageShift < MIN_PAGE_SHIFT || pageShift > MAX_PAGE_SHIFT) {
      throw new IllegalArgumentException(
          "page shift %d; %d to %d is allowed"
              .formatted(pageShift, MIN_PAGE_SHIFT, MAX_PAGE_SHIFT));
    }
    if (guestPhysicalAddress < 0 || (guestPhysicalAddress & ((1L << pageShift) - 1)) != 0) {
      throw new IllegalArgumentException(
          "guest-physical address 0x%x is not a multiple of the lost extent, 0x%x bytes"
              .formatted(guestPhysicalAddress, 1L << pageShift));
    }
  }

  /** Whether the byte at this guest-physical address is one of those that were lost. */
  public boolean covers(long address) {
    return address >>> pageShift == guestPhysicalAddress >>> pageShift;
  }
}
