package ward.destination;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;

/**
 * The wish of an operator that a guest which has not run here never will.
 *
 * <p>Confined to the session's thread, except {@link #isWanted()}.
 */
final class Cancellations {

  /** How long an operator's command waits for a source that is out of reach. */
  static final Duration PATIENCE = Duration.ofSeconds(10);

  private final List<CompletableFuture<String>> asked = new ArrayList<>();
  private volatile boolean wanted;
  private String text = "";

  /** Somebody wants it, and hears what came of it. */
  void add(String reason, CompletableFuture<String> answer) {
    asked.add(answer);
    wanted = true;
    text = "cancelled by an operator: " + reason;
  }

  boolean isWanted() {
    return wanted;
  }

  /** For the outcome. */
  String text() {
    return text;
  }

  /** The migration has ended, and the guest has not run here. */
  void end(String outcome) {
    asked.forEach(answer -> answer.complete(outcome));
  }

  /** The source could not be told yet; it will be. */
  void stillUnheard(CompletableFuture<String> answer) {
    answer.completeExceptionally(
        new IOException(
            "the guest will not run here, but the source could not be told within %d s: it is dialled until it has heard. SIGTERM ends this daemon without telling it, and then only `ward cancel --never-ran` at the source frees the guest"
                .formatted(PATIENCE.toSeconds())));
  }
}
