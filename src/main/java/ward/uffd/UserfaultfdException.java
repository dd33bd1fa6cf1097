package ward.uffd;

import java.io.IOException;

/** Why userfaultfd cannot serve here, and what the person who runs this host can do about it. */
public final class UserfaultfdException extends IOException {

  /** Who can help. */
  public enum Kind {
    /** An administrator: the process lacks a right. */
    NOT_PERMITTED,
    /** A newer or differently built kernel, or another kind of memory. */
    NOT_SUPPORTED,
    /** Nobody foresaw it: the message has the call and its errno. */
    FAILED
  }

  private final Kind kind;

  UserfaultfdException(Kind kind, String message, Throwable cause) {
    super(message, cause);
    this.kind = kind;
  }

  UserfaultfdException(Kind kind, String message) {
    this(kind, message, null);
  }

  public Kind kind() {
    return kind;
  }
}
