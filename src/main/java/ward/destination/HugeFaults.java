package ward.destination;

import java.util.function.Consumer;
import ward.memory.PageRun;

/** A touch of a huge page, which wants all of its small ones. */
final class HugeFaults {

  private final PageFaults faults;
  private final GivenBack givenBack;
  private final int unitPages;

  HugeFaults(PageFaults faults, GivenBack givenBack, int unitPages) {
    this.faults = faults;
    this.givenBack = givenBack;
    this.unitPages = unitPages;
  }

  /** A thread of the guest waits for the huge page that a page is in. */
  void onFault(long page, Consumer<Throwable> onFailure) {
    PageRun unit = new PageRun(page - page % unitPages, unitPages);
    faults.ask(unit);
    faults.onFault(unit.firstPage(), onFailure); // the huge page may be here, or lost
    for (long each = unit.firstPage() + 1; each < unit.endPage(); each++) {
      if (givenBack.contains(each)) {
        faults.onFault(each, onFailure);
      }
    }
  }
}
