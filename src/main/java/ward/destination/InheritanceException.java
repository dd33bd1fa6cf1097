package ward.destination;

import java.io.IOException;

/** What a daemon that died has left cannot be gone on with: why, and what to do, in one line. */
public final class InheritanceException extends IOException {

  InheritanceException(String message) {
    super(message);
  }
}
