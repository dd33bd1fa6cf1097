package ward.guest;

import java.util.concurrent.CompletionStage;

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

  /** Completes when every vCPU has ended by itself, or one of them cannot go on. */
  CompletionStage<GuestExit> exited();

  @Override
  void close();
}
