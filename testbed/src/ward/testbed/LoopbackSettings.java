package ward.testbed;

import java.time.Duration;
import java.util.List;
import ward.guest.MemoryKind;
import ward.memory.PageRun;
import ward.memory.PageSet;

/**
 * What one loopback migration is made of.
 *
 * @param declared pages that the source's ledger knows before it starts
 * @param found pages that are unreadable in the source's mapping, and that nobody declared
 * @param late pages reported to the source while it serves
 * @param vcpu {@code kvm}, {@code thread} or {@code auto}
 * @param marker {@code uffd}, {@code hwpoison}, {@code sigbus} or {@code auto}
 * @param awake whether the guest runs at the source first; otherwise its memory and a first state
 *     are moved
 * @param deadline for the whole run
 * @param options more of them, for {@code ward destination}
 */
public record LoopbackSettings(
    long memoryBytes,
    int vcpus,
    int declared,
    int found,
    int late,
    long seed,
    String vcpu,
    String marker,
    boolean awake,
    Duration deadline,
    List<String> options) {

  /** A destination that is told nothing more. */
  public LoopbackSettings(
      long memoryBytes,
      int vcpus,
      int declared,
      int found,
      int late,
      long seed,
      String vcpu,
      String marker,
      boolean awake,
      Duration deadline) {
    this(memoryBytes, vcpus, declared, found, late, seed, vcpu, marker, awake, deadline, List.of());
  }

  /** A guest that does not run at the source, and whatever marker suits the host. */
  public LoopbackSettings(
      long memoryBytes,
      int vcpus,
      int declared,
      int found,
      int late,
      long seed,
      String vcpu,
      Duration deadline) {
    this(memoryBytes, vcpus, declared, found, late, seed, vcpu, "auto", false, deadline);
  }

  /** A guest that does not run at the source. */
  public LoopbackSettings(
      long memoryBytes,
      int vcpus,
      int declared,
      int found,
      int late,
      long seed,
      String vcpu,
      String marker,
      Duration deadline) {
    this(memoryBytes, vcpus, declared, found, late, seed, vcpu, marker, false, deadline);
  }

  public LoopbackSettings {
    long pages = memoryBytes >>> 12;
    if (declared < 0 || found < 0 || late < 0 || declared + found + late > pages / 4) {
      throw new IllegalArgumentException(
          "%d poisoned pages of %d; at most a quarter is allowed"
              .formatted(declared + found + late, pages));
    }
  }

  /** The same, with more options for the destination. */
  LoopbackSettings with(String... more) {
    return new LoopbackSettings(
        memoryBytes,
        vcpus,
        declared,
        found,
        late,
        seed,
        vcpu,
        marker,
        awake,
        deadline,
        List.of(more));
  }

  /** Whether the destination's memory consists of huge pages of 2 MiB. */
  boolean isHuge() {
    return options.contains("hugetlb");
  }

  /**
   * All that is lost because some pages are.
   *
   * @param pages indexes, in a guest whose regions consist of whole huge pages
   */
  PageSet lostWith(PageSet pages) {
    PageSet lost = new PageSet();
    int together = isHuge() ? MemoryKind.HUGETLB.unitPages() : 1;
    pages.forEach(page -> lost.add(new PageRun(page - page % together, together)));
    return lost;
  }

  /** The guest that these settings ask for. */
  WalkerGuestBuilder guest() {
    WalkerGuestBuilder builder = new WalkerGuestBuilder(memoryBytes, vcpus, seed);
    if (awake) {
      builder.walkingUntilMoved();
    }
    return builder;
  }
}
