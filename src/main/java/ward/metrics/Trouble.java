package ward.metrics;

import java.time.Instant;

/**
 * The last thing that went wrong.
 *
 * @param text for people
 * @param time when, ISO 8601
 */
public record Trouble(String text, String time) {

  static Trouble now(String text) {
    return new Trouble(text, Instant.now().toString());
  }
}
