package ward.destination;

import java.util.function.Consumer;

/** A touch of a huge page, which wants all of its small ones. */
final class HugeFaults {

  private final PageFaults faults;
  private final PageTable table;
  private final GivenBack givenBack;
  private final int unitPages;

  HugeFaults(PageFaults faults, PageTable table, GivenBack givenBack, int unitPages) {
    this.faults = faults;
    this.table = table;
    this.givenBack = givenBack;
    this.unitPages = unitPages;
  }

  /** A thread of the guest waits for the huge page that a page is in. */
  void onFault(long page, Consumer<Throwable> onFailure) {
    long first = page - page % unitPages;
    for (long each = first; each < first + unitPages; each++) {
      if (isOpen(each) || givenBack.contains(each)) {
        faults.onFault(each, onFailure);
      }
    }
    if (!isOpen(first) && !givenBack.contains(first)) {
      faults.onFault(first, onFailure);
    }
  }

  private boolean isOpen(long page) {
    return table.get(page) == PageTable.State.MISSING;
  }
}
