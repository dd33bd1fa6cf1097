package ward.vcpu;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.guest.GuestMemory;
import ward.guest.MemoryKind;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;

/**
 * Makes guests for hosts without KVM: threads that read every page of the memory twice, in native
 * code, and take the real SIGBUS. Nobody is told of a machine check, since nobody could take one.
 */
public final class ThreadGuestFactory implements GuestFactory {

  private final Kernel kernel;
  private final MemoryKind kind;
  private final MemoryErrors errors;
  private final int threads;
  private final long seed;
  private final TouchListener listener;
  private final Path plan; // null: every word of every page, twice

  /**
   * @param errors hears {@link MemoryErrors#consumed} for every lost page in every pass
   * @param threads at least 1
   * @param seed of the order of the pages
   */
  public ThreadGuestFactory(
      Kernel kernel, MemoryErrors errors, int threads, long seed, TouchListener listener) {
    this(kernel, MemoryKind.ANONYMOUS, errors, threads, seed, listener, null);
  }

  /** Threads that carry out a {@link TouchPlan}, each its share of the lines, instead. */
  public static ThreadGuestFactory planned(
      Kernel kernel, MemoryErrors errors, int threads, Path plan) {
    TouchListener nobody = (thread, page, poisoned, hash) -> {};
    return new ThreadGuestFactory(kernel, MemoryKind.ANONYMOUS, errors, threads, 0, nobody, plan);
  }

  private ThreadGuestFactory(
      Kernel kernel,
      MemoryKind kind,
      MemoryErrors errors,
      int threads,
      long seed,
      TouchListener listener,
      Path plan) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads; at least 1 is needed");
    }
    this.kernel = kernel;
    this.kind = kind;
    this.errors = errors;
    this.threads = threads;
    this.seed = seed;
    this.listener = listener;
    this.plan = plan;
  }

  /** The same, but the memory that is made for a guest is of another kind than anonymous. */
  public ThreadGuestFactory withMemory(MemoryKind other) {
    return new ThreadGuestFactory(kernel, other, errors, threads, seed, listener, plan);
  }

  /**
   * {@inheritDoc}
   *
   * @param vcpuStates not looked at: there are no vCPUs
   */
  @Override
  public Guest create(GuestLayout layout, byte[] vcpuStates) throws IOException {
    if (layout.pageCount() > Integer.MAX_VALUE) {
      throw new IOException(
          "%d pages; a guest of threads has at most 2^31-1".formatted(layout.pageCount()));
    }
    MappedMemory mapped = MappedMemory.of(kernel, layout, kind);
    try {
      List<Walk> walks = plan == null ? reading(mapped.memory()) : planned(mapped.memory());
      ThreadGuest guest = new ThreadGuest(kernel, mapped);
      guest.start(walks);
      return guest;
    } catch (IOException | RuntimeException e) {
      mapped.close();
      throw e;
    }
  }

  /** Every word of every page, twice, in the order that the seed draws. */
  List<Walk> reading(GuestMemory memory) {
    int[] pages = shuffled((int) memory.layout().pageCount(), seed);
    List<Walk> walks = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      int[] share = Arrays.copyOfRange(pages, begin(pages.length, i), begin(pages.length, i + 1));
      walks.add(new ReadingWalk(kernel, i, share, memory, errors, listener));
    }
    return walks;
  }

  private List<Walk> planned(GuestMemory memory) throws IOException {
    TouchPlan touches = TouchPlan.map(kernel, plan, memory);
    int count = touches.count();
    List<Walk> walks = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      walks.add(new PlannedWalk(i, touches, begin(count, i), begin(count, i + 1), memory, errors));
    }
    return walks;
  }

  /** Where a thread's share begins. */
  private int begin(int count, int thread) {
    return (int) ((long) count * thread / threads);
  }

  private static int[] shuffled(int pageCount, long seed) {
    SplittableRandom random = new SplittableRandom(seed);
    int[] pages = new int[pageCount];
    for (int i = 0; i < pageCount; i++) {
      int other = random.nextInt(i + 1);
      pages[i] = pages[other];
      pages[other] = i;
    }
    return pages;
  }
}
