package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.stream.Stream;
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
 * @param memory what the destination's is made of: {@code anonymous} or {@code memfd}
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
    String memory,
    long tablePages) {

  private static final String ANONYMOUS = "anonymous";

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
        ANONYMOUS,
        0);
  }

  /** The same into a memfd, which is written through a second mapping. */
  private BenchCase intoMemfd() {
    return new BenchCase(
        name + "-memfd",
        question + ", into a memfd",
        toucher,
        threads,
        streams,
        cpu,
        pages,
        zeroPercent,
        lostPages,
        clustered,
        "memfd",
        0);
  }

  boolean isAnonymous() {
    return memory.equals(ANONYMOUS);
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
    /** The arithmetic alone: no process, no memory of a guest. */
    PAGE_TABLE
  }

  Kind kind() {
    if (tablePages > 0) {
      return Kind.PAGE_TABLE;
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
   * @param pages of the guests whose pages hold data
   */
  static List<BenchCase> all(int pages) {
    List<BenchCase> cases = new ArrayList<>();
    for (int threads : new int[] {1, 4, 16}) {
      Stream.of(true, false).forEach(pinned -> cases.add(demand(threads, pinned, pages)));
    }
    cases.add(vcpus(1, true, pages));
    cases.add(vcpus(2, false, pages));
    cases.add(demandInTheStream(1, pages));
    cases.add(demandInTheStream(4, pages));
    cases.add(mix(pages));
    cases.add(stream("stream-data", "every page with data", 0, pages));
    cases.add(stream("stream-half-zero", "every second page zeros", 50, pages));
    cases.add(demand(1, true, pages).intoMemfd());
    cases.add(stream("stream-data", "every page with data", 0, pages).intoMemfd());
    cases.add(poisonMap(10));
    cases.add(poisonMap(10_000));
    cases.add(poisonMap(1_000_000));
    cases.add(pageTable());
    return cases;
  }

  private static OptionalInt pinnedIf(boolean pinned) {
    return pinned ? OptionalInt.of(0) : OptionalInt.empty();
  }

  static BenchCase demand(int threads, boolean pinned, int pages) {
    return new BenchCase(
        "demand-%d-%s".formatted(threads, pinned ? "pinned" : "free"),
        "demand faults of 4 KiB by %d thread%s, %s"
            .formatted(threads, threads == 1 ? "" : "s", pinned ? "all on one CPU" : "on all CPUs"),
        Toucher.THREADS,
        threads,
        false,
        pinnedIf(pinned),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase vcpus(int vcpus, boolean pinned, int pages) {
    return new BenchCase(
        "demand-%d-vcpu-%s".formatted(vcpus, pinned ? "pinned" : "free"),
        "demand faults of 4 KiB by %d vCPU%s under KVM, %s"
            .formatted(vcpus, vcpus == 1 ? "" : "s", pinned ? "all on one CPU" : "on all CPUs"),
        Toucher.VCPUS,
        vcpus,
        false,
        pinnedIf(pinned),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase demandInTheStream(int threads, int pages) {
    return new BenchCase(
        "demand-%d-in-stream".formatted(threads),
        "demand faults by %d thread%s while the stream runs"
            .formatted(threads, threads == 1 ? "" : "s"),
        Toucher.THREADS,
        threads,
        true,
        OptionalInt.empty(),
        pages,
        0,
        0,
        false);
  }

  private static BenchCase mix(int pages) {
    return new BenchCase(
        "mix",
        "demand faults by 4 threads on one CPU, 1 % of the pages poisoned",
        Toucher.THREADS,
        4,
        false,
        OptionalInt.of(0),
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
        ANONYMOUS,
        PageTableBench.LARGE_PAGES);
  }

  static Optional<BenchCase> named(String name, List<BenchCase> cases) {
    return cases.stream().filter(one -> one.name().equals(name)).findFirst();
  }
}
