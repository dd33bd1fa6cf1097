package ward.poison;

import java.io.IOException;
import java.nio.file.Path;

/** A ledger on disk that cannot be used: which one, why, and what to do, in one line. */
public final class LedgerException extends IOException {

  public enum Kind {
    /** It is the ledger of another guest. */
    OTHER_GUEST,
    /** Its bytes are not what was written; nothing was changed. */
    DAMAGED,
    /** Another process, or another part of this one, has it open for writing. */
    IN_USE,
    /** The file system refused. */
    IO
  }

  private final Kind kind;

  LedgerException(Kind kind, String message) {
    this(kind, message, null);
  }

  private LedgerException(Kind kind, String message, IOException cause) {
    super(message, cause);
    this.kind = kind;
  }

  /**
   * @param attempt what failed, as in "cannot ..."
   */
  static LedgerException io(String attempt, Path path, IOException cause) {
    // The JDK's file system exceptions often say no more than the path; their class says why.
    String reason = cause.getClass().getSimpleName() + ": " + cause.getMessage();
    return new LedgerException(Kind.IO, "cannot %s %s: %s".formatted(attempt, path, reason), cause);
  }

  public Kind kind() {
    return kind;
  }
}
