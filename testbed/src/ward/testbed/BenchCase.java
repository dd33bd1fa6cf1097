package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;
import ward.memory.Pages;

/**
 * One question of the benchmark.
 *
 * @param name as {@code --case} takes it
 * @param question in words
 * @param toucher what touches the guest's memory
 * @param threads or vCPUs that do; 0 where nothing is asked for on demand
 * @param streams whether pages come unasked too
 * @param cpu to which every process of both sides is pinned; empty: the scheduler decides
 * @param pages of the guest
 * @param zeroPercent of the pages hold nothing but zeros
 * @param lostPages of the guest, in clusters or alone
 * @param clustered whether lost pages lie together, eight on average
 * @param memory what the destination's is made of
 * @param collapses whether huge pages are made of it when all of it is there
 * @param tablePages of the guest whose page table alone is measured, without any memory; 0 where
 *     one is migrated
 */
record BenchCase(
    String name,
    String question,
    Toucher toucher,
    int threads,
    boolean streams,
    OptionalInt cpu,
    int pages,
    int zeroPercent,
    int lostPages,
    boolean clustered,
    Memory memory,
    boolean collapses,
    long tablePages) {

  private static final int HUGE_PAGE_PAGES = 512;
  private static final int FAULT_PAGES_MIN = 512;

  /** Of a migration into anonymous memory. */
  BenchCase(
      String name,
      String question,
      Toucher toucher,
      int threads,
      boolean streams,
      OptionalInt cpu,
      int pages,
      int zeroPercent,
      int lostPages,
      boolean clustered) {
    this(
        name,
        question,
        toucher,
        threads,
        streams,
        cpu,
        pages,
        zeroPercent,
        lostPages,
        clustered,
        Memory.ANONYMOUS,
        false,
        0);
  }

  /** The same into a memfd, which is written through a second mapping. */
  private BenchCase intoMemfd() {
    return into(Memory.MEMFD, "-memfd", question + ", into a memfd");
  }

  /** Into huge pages that the host has set aside. Each of them comes whole. */
  private BenchCase intoHugePages(String question) {
    return into(Memory.HUGETLB, "-hugetlb", question);
  }

  private BenchCase into(Memory other, String suffix, String question) {
    return new BenchCase(
        name + suffix,
        question,
        toucher,
        threads,
        streams,
        cpu,
        other == Memory.HUGETLB ? wholeHugePages(pages) : pages,
        zeroPercent,
        lostPages,
        clustered,
        other,
        false,
        0);
  }

  private static int wholeHugePages(int pages) {
    return pages / HUGE_PAGE_PAGES * HUGE_PAGE_PAGES;
  }

  /** What a destination's memory is made of. */
  enum Memory {
    ANONYMOUS(1),
    MEMFD(1),
    HUGETLB(HUGE_PAGE_PAGES);

    private final int unitPages;

    Memory(int unitPages) {
      this.unitPages = unitPages;
    }

    /** Pages that come by one fault. */
    int unitPages() {
      return unitPages;
    }

    /** As an option has it, on both sides. */
    String word() {
      return name().toLowerCase(Locale.ROOT);
    }
  }

  /** Huge pages that the host must have set aside. */
  int hugePages() {
    return memory == Memory.HUGETLB ? pages / HUGE_PAGE_PAGES : 0;
  }

  /**
   * Pages that are touched, each of which brings all that comes by a fault. Where huge pages are
   * made, one is left out: so it is known when they begin to be made.
   */
  int touches() {
    return pages / memory.unitPages() - (collapses ? 1 : 0);
  }

  /** What waits for pages. */
  enum Toucher {
    /** Threads of the destination, by a loop of C. */
    THREADS,
    /** A guest, by a loop of its own. */
    VCPUS
  }

  /** What is measured. */
  enum Kind {
    DEMAND,
    STREAM,
    POISON_MAP,
    /** Small pages to huge ones, when all of them are there. */
    COLLAPSE,
    /** The arithmetic alone: no process, no memory of a guest. */
    PAGE_TABLE
  }

  Kind kind() {
    if (tablePages > 0) {
      return Kind.PAGE_TABLE;
    }
    if (collapses) {
      return Kind.COLLAPSE;
    }
    if (threads > 0) {
      return Kind.DEMAND;
    }
    return streams ? Kind.STREAM : Kind.POISON_MAP;
  }

  long bytes() {
    return Pages.bytes(tablePages > 0 ? tablePages : pages);
  }

  /** What runs a process of either side. */
  List<String> prefix() {
    return cpu.isPresent() ? List.of("taskset", "-c", Integer.toString(cpu.getAsInt())) : List.of();
  }

  /**
   * Every case, in the order in which they are run.
   *
   * @param pages of the guests whose pages hold data; where nothing but faults is measured they
   *     have a quarter of that, which are samples enough
   */
  static List<BenchCase> all(int pages) {
    int few = Math.max(FAULT_PAGES_MIN, pages / 4);
    List<BenchCase> cases = new ArrayList<>();
    for (int threads : new int[] {1, 4, 16}) {
      cases.add(demand(threads, true, few));
      cases.add(demand(threads, false, few));
    }
    cases.add(vcpus(1, true, few));
    cases.add(vcpus(2, false, few));
    for (int threads : new int[] {1, 4}) {
      cases.add(demandInTheStream(threads, true, pages));
      cases.add(demandInTheStream(threads, false, pages));
    }
    cases.add(mix(true, few));
    cases.add(mix(false, few));
    cases.add(stream("stream-data", "every page with data", 0, pages));
    cases.add(stream("stream-half-zero", "half of the pages zeros", 50, pages));
    cases.add(demand(1, true, few).intoMemfd());
    cases.add(demand(1, false, few).intoMemfd());
    cases.add(stream("stream-data", "every page with data", 0, pages).intoMemfd());
    cases.add(demandOfHugePages(true, pages));
    cases.add(demandOfHugePages(false, pages));
    cases.add(
        stream("stream-data", "every page with data", 0, pages)
            .intoHugePages("the stream into huge pages of 2 MiB, every page with data"));
    cases.add(collapse(pages));
    cases.add(poisonMap(10));
    cases.add(poisonMap(10_000));
    cases.add(poisonMap(1_000_000));
    cases.add(pageTable());
    return cases;
  }

  private static OptionalInt pinnedIf(boolean pinned) {
    return pinned ? OptionalInt.of(0) : OptionalInt.empty();
  }

  private static String suffix(boolean pinned) {
    return pinned ? "pinned" : "free";
  }

  private static String where(boolean pinned) {
    return pinned ? "all on one CPU" : "on all CPUs";
  }

  static BenchCase demand(int threads, boolean pinned, int pages) {
    return new BenchCase(
        "demand-%d-%s".formatted(threads, suffix(pinned)),
        "demand faults of 4 KiB by %d thread%s, %s"
            .formatted(threads, threads == 1 ? "" : "s", where(pinned)),
        Toucher.THREADS,
        threads,
        false,
        pinnedIf(pinned),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase demandOfHugePages(boolean pinned, int pages) {
    return demand(1, pinned, pages)
        .intoHugePages("first touches of huge pages of 2 MiB by 1 thread, " + where(pinned));
  }

  private static BenchCase vcpus(int vcpus, boolean pinned, int pages) {
    return new BenchCase(
        "demand-%d-vcpu-%s".formatted(vcpus, suffix(pinned)),
        "demand faults of 4 KiB by %d vCPU%s under KVM, %s"
            .formatted(vcpus, vcpus == 1 ? "" : "s", where(pinned)),
        Toucher.VCPUS,
        vcpus,
        false,
        pinnedIf(pinned),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase demandInTheStream(int threads, boolean pinned, int pages) {
    return new BenchCase(
        "demand-%d-in-stream-%s".formatted(threads, suffix(pinned)),
        "demand faults by %d thread%s while the stream runs, %s"
            .formatted(threads, threads == 1 ? "" : "s", where(pinned)),
        Toucher.THREADS,
        threads,
        true,
        pinnedIf(pinned),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase mix(boolean pinned, int pages) {
    return new BenchCase(
        "mix-" + suffix(pinned),
        "demand faults by 4 threads, 1 %% of the pages poisoned, %s".formatted(where(pinned)),
        Toucher.THREADS,
        4,
        false,
        pinnedIf(pinned),
        pages,
        0,
        pages / 100,
        false);
  }

  private static BenchCase stream(String name, String content, int zeroPercent, int pages) {
    return new BenchCase(
        name,
        "the stream into guest memory, " + content,
        Toucher.THREADS,
        0,
        true,
        OptionalInt.empty(),
        pages,
        zeroPercent,
        0,
        false);
  }

  /** Comes by faults, in the order of chance, so that it lies in small pages. */
  private static BenchCase collapse(int pages) {
    return new BenchCase(
        "collapse",
        "huge pages made of a guest that came by faults of 4 KiB",
        Toucher.THREADS,
        4,
        false,
        OptionalInt.empty(),
        wholeHugePages(pages),
        0,
        0,
        false,
        Memory.ANONYMOUS,
        true,
        0);
  }

  private static BenchCase poisonMap(int entries) {
    return new BenchCase(
        "poison-map-" + entries,
        "a poison map of %,d entries, in clusters: sent, applied and acknowledged"
            .formatted(entries),
        Toucher.THREADS,
        0,
        false,
        OptionalInt.empty(),
        Math.max(4096, entries + entries / 4),
        100,
        entries,
        true);
  }

  private static BenchCase pageTable() {
    int lost = 1_000_000;
    return new BenchCase(
        "page-table",
        "the states of a guest of 12 TiB with %,d lost pages beside those of one of 1 GiB"
            .formatted(lost),
        Toucher.THREADS,
        0,
        false,
        OptionalInt.empty(),
        0,
        0,
        lost,
        false,
        Memory.ANONYMOUS,
        false,
        PageTableBench.LARGE_PAGES);
  }

  static Optional<BenchCase> named(String name, List<BenchCase> cases) {
    return cases.stream().filter(one -> one.name().equals(name)).findFirst();
  }
}
