package ward.guest;

import java.io.IOException;

/**
 * The guest that a source offers is not the one that there is room for: what differs, in one line.
 */
public final class UnfitGuestException extends IOException {

  public UnfitGuestException(String message) {
    super(message);
  }
}
