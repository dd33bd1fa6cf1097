package ward.guest;

import java.io.IOException;
import java.time.Duration;
import java.util.concurrent.CompletionStage;
import ward.memory.PageSet;

/**
 * A guest on this host: memory, and vCPUs that run or do not.
 *
 * <p>Created paused. {@link #resume()} and {@link #pause()} may alternate; closing stops it for
 * good and unmaps its memory.
 */
public interface Guest extends AutoCloseable {

  /** Where its RAM is mapped. */
  GuestMemory memory();

  /** Lets every vCPU run. */
  void resume();

  /**
   * Stops every vCPU, and returns when none will run another instruction: one that waits for a page
   * where it cannot be interrupted stays there, and stops when the page has come.
   */
  void pause();

  /**
   * What the guest holds apart from its memory, as {@link GuestFactory#create} takes it. Only of a
   * paused guest, which may be resumed afterwards as if nothing had been.
   *
   * @throws IOException if a vCPU does not stand still because it waits for a page, if the guest
   *     has ended, or if the host cannot say what it holds
   */
  byte[] save() throws IOException;

  /**
   * Tells the guest of lost pages, one after the other, before it meets them: its kernel can then
   * take them out of use. Returns at once. Where no processor runs, nobody is told.
   *
   * @param frames guest frame numbers: guest-physical address {@code >>> 12}
   * @param interval the least time between two of them
   */
  default void announce(PageSet frames, Duration interval) {}

  /**
   * Tells a processor of the guest by an SError, arm64's asynchronous abort, that its hardware has
   * failed, and not where. The guest hears of it when it lets such interrupts in. Returns at once.
   *
   * @param vcpu counts from 0
   * @param syndrome of ESR_EL1, bits 24:0; a processor without RAS has no place for it
   * @throws IOException if the guest has no such processor, or its processors no such interrupt
   */
  default void raiseSError(int vcpu, int syndrome) throws IOException {
    throw new IOException(
        "this guest's processors know no SError: guests of arm64 hosts under KVM have them");
  }

  /** Completes when every vCPU has ended by itself, or one of them cannot go on. */
  CompletionStage<GuestExit> exited();

  @Override
  void close();
}
