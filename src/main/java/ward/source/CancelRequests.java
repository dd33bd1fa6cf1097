package ward.source;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The wish of an operator that the guest stays here, while only the destination can say whether it
 * may.
 *
 * <p>Confined to the session's thread, except {@link #isOpen()}.
 */
final class CancelRequests {

  /** How long an operator's command waits for the destination's word. */
  static final long PATIENCE_SECONDS = 10;

  private final List<CompletableFuture<String>> asked = new ArrayList<>();
  private volatile boolean wanted;
  private String reason = "";

  void add(String why, CompletableFuture<String> answer) {
    reason = why;
    asked.add(answer);
    wanted = true;
  }

  /** Whether the destination is to be asked, or has been. */
  boolean isOpen() {
    return wanted;
  }

  String reason() {
    return reason;
  }

  /** The guest is whole here. */
  void granted(String outcome) {
    asked.forEach(answer -> answer.complete(outcome));
    asked.clear();
    wanted = false;
  }

  /** The guest has run at the destination, or nobody can say that it has not. */
  void refused(String why) {
    asked.forEach(answer -> answer.completeExceptionally(new IOException(why)));
    asked.clear();
    wanted = false;
  }

  /** No word yet; the wish stands. */
  void unanswered(CompletableFuture<String> answer) {
    answer.completeExceptionally(
        new IOException(
            "the destination has not answered within %d s; it is asked as soon as it can be reached. Where it has ended without having run the guest, by its own word (exit code 6), `ward cancel --never-ran` takes the guest back"
                .formatted(PATIENCE_SECONDS)));
  }
}
