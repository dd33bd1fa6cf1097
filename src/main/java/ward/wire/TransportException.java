package ward.wire;

import java.io.IOException;

/** Listening or connecting failed; the text says where, why, and what to do. */
public final class TransportException extends IOException {

  TransportException(String message, Throwable cause) {
    super(message, cause);
  }
}
