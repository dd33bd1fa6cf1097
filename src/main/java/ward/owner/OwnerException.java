package ward.owner;

import java.io.IOException;

/** A memory owner that cannot be used: which one, why, and what to do, in one line. */
public final class OwnerException extends IOException {

  OwnerException(String message) {
    super(message);
  }

  OwnerException(String message, Throwable cause) {
    super(message, cause);
  }
}
