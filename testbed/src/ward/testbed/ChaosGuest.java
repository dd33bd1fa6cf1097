package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import java.util.SplittableRandom;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * A guest as a plan wants it, and what it loses before it moves.
 *
 * @param declared page indexes, as in the next
 * @param found unreadable at the source, unknown to everyone
 */
record ChaosGuest(WalkerGuest walker, PageSet declared, PageSet found) {

  private static final long GAP_PAGES_MAX = 5000;

  /** The same plan makes the same guest. */
  static ChaosGuest make(ChaosPlan plan, FileChannel memoryFile) throws IOException {
    WalkerGuest walker = walker(plan, memoryFile);
    SplittableRandom random = new SplittableRandom(plan.seed() + 1);
    PageSet taken = walker.imagePages().copy();
    PageSet declared = draw(random, walker, taken, plan.declared());
    PageSet found = draw(random, walker, taken, plan.found());
    return new ChaosGuest(walker, declared, found);
  }

  private static PageSet draw(
      SplittableRandom random, WalkerGuest walker, PageSet taken, int count) {
    PageSet drawn = new PageSet();
    while (drawn.size() < count) {
      long page = random.nextLong(walker.layout().pageCount());
      if (!taken.contains(page)) {
        taken.add(page);
        drawn.add(page);
      }
    }
    return drawn;
  }

  private static WalkerGuest walker(ChaosPlan plan, FileChannel memoryFile) throws IOException {
    if (!plan.guest().isVirtualMachine()) {
      return memoryOnly(plan, memoryFile);
    }
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(plan.memoryBytes(), plan.vcpus(), plan.seed());
    if (plan.guest() == ChaosPlan.Mover.MOVED) {
      builder.walkingUntilMoved();
    }
    return builder.writeTo(memoryFile);
  }

  /** No program is in it: threads read whatever there is. */
  private static WalkerGuest memoryOnly(ChaosPlan plan, FileChannel memoryFile) throws IOException {
    SplittableRandom random = new SplittableRandom(plan.seed());
    GuestLayout layout =
        new GuestLayout(
            "chaos-" + Long.toUnsignedString(plan.seed(), 36),
            regions(random, plan.memoryBytes() >>> Pages.SHIFT, plan.regions()));
    writeContent(random, memoryFile, layout.pageCount());
    PageSet none = new PageSet();
    return new WalkerGuest(layout, new byte[0], none, none, none, List.of());
  }

  /** Of any size, with gaps between them. */
  private static List<GuestRegion> regions(SplittableRandom random, long pages, int count) {
    List<GuestRegion> regions = new ArrayList<>();
    long address = 0;
    long offset = 0;
    for (int left = count; left > 0; left--) {
      long rest = pages - (offset >>> Pages.SHIFT);
      long length = left == 1 ? rest : 1 + random.nextLong(rest - left);
      regions.add(new GuestRegion(address, Pages.bytes(length), offset));
      offset += Pages.bytes(length);
      address += Pages.bytes(length + 1 + random.nextLong(GAP_PAGES_MAX));
    }
    return regions;
  }

  /** One page in four stays a hole of the file, and reads as zeros. */
  private static void writeContent(SplittableRandom random, FileChannel file, long pages)
      throws IOException {
    file.write(ByteBuffer.allocate(1), Pages.bytes(pages) - 1);
    ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (long i = 0; i < pages; i++) {
      if (random.nextInt(4) > 0) {
        page.clear();
        while (page.hasRemaining()) {
          page.putLong(random.nextLong());
        }
        file.write(page.flip(), Pages.bytes(i));
      }
    }
  }

  GuestLayout layout() {
    return walker.layout();
  }

  /** What the guest may not lose without coming to its end, and what is lost already. */
  boolean mayLose(long page) {
    return !walker.imagePages().contains(page)
        && !walker.counterPages().contains(page)
        && !declared.contains(page)
        && !found.contains(page);
  }

  /** Before it runs its first instruction. */
  PageSet lostFromTheStart() {
    PageSet lost = declared.copy();
    lost.addAll(found);
    return lost;
  }
}
