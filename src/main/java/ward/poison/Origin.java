package ward.poison;

import java.time.Instant;

/**
 * Where a loss was first known.
 *
 * @param host the name of the host; at most 255 characters
 * @param time when, to the millisecond
 * @param discovery how it was found
 */
public record Origin(String host, Instant time, Discovery discovery) {

  public enum Discovery {
    /** An operator or another program put it into the ledger: {@code ward ledger add}. */
    DECLARED,
    /** A source could not read the page while it served the guest. */
    UNREADABLE,
    /** A control command reported it to a source that was already serving. */
    REPORTED,
    /** The guest ran into it on a host where Ward runs its vCPUs. */
    CONSUMED,
    /** A source was lost with the page, and an operator's policy took it for poison. */
    SOURCE_LOST
  }

  /**
   * @throws IllegalArgumentException if the host's name is blank or too long
   */
  public Origin {
    requireHost(host);
    time = Instant.ofEpochMilli(time.toEpochMilli());
  }

  static void requireHost(String host) {
    if (host.isBlank() || host.length() > 255) {
      throw new IllegalArgumentException(
          "host name \"%s\"; 1 to 255 characters are allowed".formatted(host));
    }
  }
}
