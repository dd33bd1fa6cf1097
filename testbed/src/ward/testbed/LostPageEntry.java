package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/** What a ledger says of pages that the testbed takes away. */
final class LostPageEntry {

  private LostPageEntry() {}

  static PoisonEntry of(GuestLayout layout, long page, Origin origin) {
    return new PoisonEntry(
        layout.addressOf(page), PoisonEntry.MIN_PAGE_SHIFT, Severity.ACTION_REQUIRED, origin);
  }

  static List<PoisonEntry> of(GuestLayout layout, PageSet pages, Origin origin) {
    List<PoisonEntry> entries = new ArrayList<>();
    pages.forEach(page -> entries.add(of(layout, page, origin)));
    return entries;
  }
}
