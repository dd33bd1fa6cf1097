package ward.vcpu;

import java.io.IOException;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;

/**
 * Makes guests for hosts without KVM: threads that read every page of the memory twice, in native
 * code, and take the real SIGBUS. Nobody is told of a machine check, since nobody could take one.
 */
public final class ThreadGuestFactory implements GuestFactory {

  private final Kernel kernel;
  private final MemoryErrors errors;
  private final int threads;
  private final long seed;
  private final TouchListener listener;

  /**
   * @param errors hears {@link MemoryErrors#consumed} for every lost page in every pass
   * @param threads at least 1
   * @param seed of the order of the pages
   */
  public ThreadGuestFactory(
      Kernel kernel, MemoryErrors errors, int threads, long seed, TouchListener listener) {
    if (threads < 1) {
      throw new IllegalArgumentException(threads + " threads; at least 1 is needed");
    }
    this.kernel = kernel;
    this.errors = errors;
    this.threads = threads;
    this.seed = seed;
    this.listener = listener;
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
    ThreadGuest guest = new ThreadGuest(kernel, MappedMemory.of(kernel, layout));
    guest.start(errors, threads, seed, listener);
    return guest;
  }
}
