package ward.cli;

import java.io.IOException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.destination.DestinationSession;

/**
 * Makes huge pages of a guest's memory while the guest runs, on a thread of its own. Closing it
 * ends it early and waits for that: afterwards the memory may go.
 */
final class HugePages implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger("ward.destination");

  private final DestinationSession session;
  private final Thread thread = new Thread(this::run, "ward-collapse");
  private volatile boolean ended;

  private HugePages(DestinationSession session) {
    this.session = session;
  }

  /**
   * @param wanted whether anything is to be done at all
   */
  static HugePages begin(DestinationSession session, boolean wanted) {
    HugePages pages = new HugePages(session);
    if (wanted) {
      pages.thread.setDaemon(true);
      pages.thread.start();
    }
    return pages;
  }

  private void run() {
    try {
      session.collapse(() -> !ended);
    } catch (IOException | RuntimeException e) {
      log.warn("--collapse: the memory stays as it is from here on: {}", e.getMessage(), e);
    }
  }

  @Override
  public void close() {
    ended = true;
    try {
      thread.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
    }
  }
}
