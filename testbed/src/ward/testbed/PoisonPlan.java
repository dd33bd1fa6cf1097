package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import ward.memory.PageSet;

/**
 * Which pages will be lost, drawn from the seed. The guest's own tables, code and stacks never are:
 * their loss would end it.
 *
 * @param declared page indexes, as are all
 * @param found unreadable at the source, unknown to everyone
 * @param lateCandidates in the order in which they should be reported: where the walk begins at the
 *     destination from its end, so that the guest has not read them yet
 */
record PoisonPlan(List<Long> declared, List<Long> found, List<Long> lateCandidates) {

  /** What is lost before the guest runs at the destination. */
  PageSet fromTheStart() {
    PageSet pages = new PageSet();
    declared.forEach(pages::add);
    found.forEach(pages::add);
    return pages;
  }

  static PoisonPlan draw(WalkerGuest guest, LoopbackSettings settings) {
    SplittableRandom random = new SplittableRandom(settings.seed() * 31 + 1);
    PageSet taken = guest.imagePages().copy();
    List<Long> declared = draw(random, guest, taken, settings.declared());
    List<Long> found = draw(random, guest, taken, settings.found());
    return new PoisonPlan(
        declared, found, settings.awake() ? anywhere(random, guest, taken) : tails(guest, taken));
  }

  private static List<Long> draw(
      SplittableRandom random, WalkerGuest guest, PageSet taken, int count) {
    List<Long> pages = new ArrayList<>();
    while (pages.size() < count) {
      long page = random.nextLong(guest.layout().pageCount());
      if (!taken.contains(page)) {
        taken.add(page);
        pages.add(page);
      }
    }
    return pages;
  }

  /** A guest that was moved in the middle of a walk may have read the end, or be about to. */
  private static List<Long> anywhere(SplittableRandom random, WalkerGuest guest, PageSet taken) {
    return draw(random, guest, taken.copy(), (int) (guest.layout().pageCount() / 4));
  }

  private static List<Long> tails(WalkerGuest guest, PageSet taken) {
    List<Long> candidates = new ArrayList<>();
    for (int back = 1; candidates.size() < guest.layout().pageCount() / 4; back++) {
      for (long[] order : guest.orders()) {
        if (back <= order.length && !taken.contains(order[order.length - back])) {
          candidates.add(order[order.length - back]);
        }
      }
    }
    return candidates;
  }
}
