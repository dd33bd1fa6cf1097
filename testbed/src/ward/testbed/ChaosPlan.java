package ward.testbed;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.TreeSet;
import java.util.random.RandomGenerator;
import ward.wire.ConnectionKind;

/**
 * What one run of chaos is: the guest, its losses, how it is moved, and everything that goes wrong.
 * The same seed makes the same plan; when exactly two processes do what stays theirs.
 *
 * @param memoryBytes a multiple of 8 MiB from 16 MiB for virtual machines, of 1 MiB for threads
 * @param regions of memory; a virtual machine always has two
 * @param vcpus or threads
 * @param declared pages that the ledger knows to be lost from the beginning
 * @param found pages that nobody knows to be unreadable
 * @param streamHeldMillis how long the background stream is held back, so that the guest asks for
 *     its pages; 0: not at all
 * @param faults in the order in which they were drawn, at most once each
 */
record ChaosPlan(
    long seed,
    Mover guest,
    long memoryBytes,
    int regions,
    int vcpus,
    int declared,
    int found,
    String marker,
    int streams,
    int streamHeldMillis,
    List<Fault> faults) {

  /** What touches the memory. */
  enum Mover {
    /** Threads of the destination, each page twice. */
    THREADS,
    /** Threads of a process that owns the memory, and outlives every destination. */
    HELD,
    /** A virtual machine that begins at the destination. */
    ASLEEP,
    /** One that runs at the source first. */
    MOVED;

    boolean isVirtualMachine() {
      return this == ASLEEP || this == MOVED;
    }
  }

  private static final long MIB = 1 << 20;
  private static final int FAULTS_MAX = 6;
  private static final int CONTROL_BYTES_DOWN = 20_000;
  private static final int CONTROL_BYTES_UP = 1_500;
  private static final int URGENT_BYTES_DOWN = 1_000_000;
  private static final int URGENT_BYTES_UP = 12_000;
  private static final int STREAM_BYTES_UP = 150;
  private static final int FOUND_ON_FULL_DISK = 120;
  private static final int MESSAGES_MAX = 8;
  private static final int DATA_FRAMES_MAX = 60;

  ChaosPlan {
    faults = List.copyOf(faults);
  }

  /**
   * @param kinds of faults that may be drawn; none is a run in which nothing goes wrong
   * @param guests that may be drawn; at least one
   */
  static ChaosPlan draw(long seed, Set<ChaosFaultKind> kinds, Set<Mover> guests) {
    RandomGenerator random = new SplittableRandom(seed);
    Mover guest = List.copyOf(new TreeSet<>(guests)).get(random.nextInt(guests.size()));
    long memoryBytes = memoryBytes(guest, random);
    int streams = random.nextInt(3) == 0 ? 2 + random.nextInt(3) : 1;
    List<Fault> faults = faults(random, kinds, memoryBytes, streams);
    return new ChaosPlan(
        seed,
        guest,
        memoryBytes,
        guest.isVirtualMachine() ? 2 : 1 + random.nextInt(4),
        1 + random.nextInt(3),
        random.nextInt(4) == 0 ? 0 : random.nextInt(24),
        found(random, faults),
        random.nextInt(5) == 0 && guest != Mover.HELD ? "sigbus" : "uffd",
        streams,
        random.nextInt(3) == 0 ? 1 + random.nextInt(500) : 0,
        faults);
  }

  /** So many, where a disk is full, that their entries do not fit in what a file has left. */
  private static int found(RandomGenerator random, List<Fault> faults) {
    boolean full = faults.stream().anyMatch(f -> f.effect() instanceof ChaosAct.FillDisk);
    int some = random.nextInt(3) == 0 ? 0 : random.nextInt(24);
    return full ? FOUND_ON_FULL_DISK + some : some;
  }

  /** Small ones are the most frequent: what may go wrong does not grow with the memory. */
  private static long memoryBytes(Mover guest, RandomGenerator random) {
    double doublings = random.nextDouble() * random.nextDouble();
    return guest.isVirtualMachine()
        ? 8 * MIB * (int) (2 * Math.pow(4, doublings))
        : MIB * (int) (4 * Math.pow(16, doublings));
  }

  private static List<Fault> faults(
      RandomGenerator random, Set<ChaosFaultKind> kinds, long memoryBytes, int streams) {
    List<Fault> faults = new ArrayList<>();
    int count = kinds.isEmpty() ? 0 : 1 + random.nextInt(FAULTS_MAX);
    for (int i = 0; i < count; i++) {
      faults.add(fault(kind(random, kinds), random, memoryBytes, streams));
    }
    return faults;
  }

  private static ChaosFaultKind kind(RandomGenerator random, Set<ChaosFaultKind> kinds) {
    List<ChaosFaultKind> lots = new ArrayList<>();
    for (ChaosFaultKind kind : ChaosFaultKind.values()) {
      if (kinds.contains(kind)) {
        lots.addAll(java.util.Collections.nCopies(kind.weight(), kind));
      }
    }
    return lots.get(random.nextInt(lots.size()));
  }

  private static Fault fault(
      ChaosFaultKind kind, RandomGenerator random, long memoryBytes, int streams) {
    Fault.Effect effect = kind.draw(random, streams + 1);
    if (kind == ChaosFaultKind.REORDER) {
      // Both are in front of the moment at which the destination opens its other connections.
      return at(
          ConnectionKind.CONTROL, LinkDirection.TO_DESTINATION, message(1, 3, random), effect);
    }
    if (effect instanceof ChaosAct.FillDisk) {
      return at(
          ConnectionKind.CONTROL, LinkDirection.TO_DESTINATION, message(1, 5, random), effect);
    }
    if (kind == ChaosFaultKind.REPORT_IN_FLIGHT) {
      ConnectionKind where = random.nextBoolean() ? ConnectionKind.URGENT : ConnectionKind.STREAM;
      return at(where, LinkDirection.TO_DESTINATION, dataFrame(random), effect);
    }
    return anywhere(random, memoryBytes / streams, effect);
  }

  private static Fault anywhere(RandomGenerator random, long streamBytes, Fault.Effect effect) {
    return switch (random.nextInt(8)) {
      case 0, 1 ->
          at(ConnectionKind.CONTROL, direction(random), message(1, MESSAGES_MAX, random), effect);
      case 2 ->
          at(
              ConnectionKind.CONTROL,
              LinkDirection.TO_SOURCE,
              byteIn(CONTROL_BYTES_UP, random),
              effect);
      case 3 ->
          at(
              ConnectionKind.CONTROL,
              LinkDirection.TO_DESTINATION,
              byteIn(CONTROL_BYTES_DOWN, random),
              effect);
      case 4 ->
          at(
              ConnectionKind.URGENT,
              LinkDirection.TO_SOURCE,
              byteIn(URGENT_BYTES_UP, random),
              effect);
      case 5 ->
          at(
              ConnectionKind.URGENT,
              LinkDirection.TO_DESTINATION,
              byteIn(URGENT_BYTES_DOWN, random),
              effect);
      case 6 ->
          random.nextInt(5) == 0
              ? at(
                  ConnectionKind.STREAM,
                  LinkDirection.TO_SOURCE,
                  byteIn(STREAM_BYTES_UP, random),
                  effect)
              : at(ConnectionKind.STREAM, LinkDirection.TO_DESTINATION, dataFrame(random), effect);
      default ->
          at(
              ConnectionKind.STREAM,
              LinkDirection.TO_DESTINATION,
              byteIn(streamBytes, random),
              effect);
    };
  }

  private static LinkDirection direction(RandomGenerator random) {
    return random.nextBoolean() ? LinkDirection.TO_SOURCE : LinkDirection.TO_DESTINATION;
  }

  private static Fault at(
      ConnectionKind kind, LinkDirection direction, Fault.Trigger trigger, Fault.Effect effect) {
    return new Fault(kind, direction, trigger, effect, 1);
  }

  private static Fault.Trigger message(int first, int last, RandomGenerator random) {
    return new Fault.InBody(
        Fault.MESSAGE, first + random.nextInt(last - first + 1), random.nextInt(4));
  }

  private static Fault.Trigger dataFrame(RandomGenerator random) {
    return new Fault.InBody(Fault.DATA, 1 + random.nextInt(DATA_FRAMES_MAX), random.nextInt(4096));
  }

  /**
   * Of each order of magnitude as many, but never the end only: beginnings are where links are
   * made.
   */
  private static Fault.Trigger byteIn(long bytes, RandomGenerator random) {
    double exponent = Math.sqrt(random.nextDouble()) * Math.log(bytes);
    return new Fault.AtByte((long) Math.exp(exponent) - 1);
  }

  /** A few lines for people. */
  String describe() {
    StringBuilder text = new StringBuilder();
    text.append(
        "%s, %d MiB in %d regions, %d vCPUs; %d declared, %d found lost; marker %s, %d streams, held back for %d ms%n"
            .formatted(
                guest,
                memoryBytes >> 20,
                regions,
                vcpus,
                declared,
                found,
                marker,
                streams,
                streamHeldMillis));
    for (Fault fault : faults) {
      text.append(
          "  %s %s %s: %s%n"
              .formatted(fault.kind(), fault.direction(), fault.trigger(), fault.effect()));
    }
    return text.toString();
  }
}
