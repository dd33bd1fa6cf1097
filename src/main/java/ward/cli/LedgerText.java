package ward.cli;

import java.util.List;
import java.util.stream.Collectors;
import ward.memory.GuestLayout;
import ward.poison.PoisonEntry;

/** The words of the ledger for people. */
final class LedgerText {

  private static final List<String> UNITS = List.of("KiB", "MiB", "GiB");

  private LedgerText() {}

  static long bytesOf(PoisonEntry entry) {
    return 1L << entry.pageShift();
  }

  /** {@code 0x5000 4 KiB}. */
  static String extent(PoisonEntry entry) {
    return "0x%x %s".formatted(entry.guestPhysicalAddress(), size(entry.pageShift()));
  }

  /** The size of an extent: {@code 2 MiB}. */
  static String size(int pageShift) {
    return (1 << pageShift % 10) + " " + UNITS.get(pageShift / 10 - 1);
  }

  /** The addresses of a guest's RAM: {@code 0x0..0x2000, 0x100000..0x103000}. */
  static String ramOf(GuestLayout guest) {
    return guest.regions().stream()
        .map(region -> "0x%x..0x%x".formatted(region.guestPhysicalAddress(), region.endAddress()))
        .collect(Collectors.joining(", "));
  }

  /**
   * A name that came from a peer, for a terminal: what would move the cursor or change colours is
   * replaced.
   */
  static String printable(String name) {
    return name.replaceAll("\\p{C}", "?");
  }

  /** A constant's name in lower case: {@code action required}. */
  static String words(Enum<?> constant) {
    return constant.name().toLowerCase(java.util.Locale.ROOT).replace('_', ' ');
  }
}
