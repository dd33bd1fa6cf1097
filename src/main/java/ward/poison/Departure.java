package ward.poison;

import java.time.Instant;

/**
 * One hop of a guest: the host that it left, and when that host let go of it.
 *
 * @param host the name of the host; 1 to 255 characters
 * @param time to the millisecond
 */
public record Departure(String host, Instant time) {

  /**
   * @throws IllegalArgumentException if the host's name is blank or too long
   */
  public Departure {
    Origin.requireHost(host);
    time = Instant.ofEpochMilli(time.toEpochMilli());
  }
}
