package ward.testbed;

import java.io.IOException;

/** One of those that are compared. */
interface BenchSide {

  /** For tables, and in the names of files. */
  String name();

  /** Whether it has anything to say to a case. */
  boolean takesPart(BenchCase.Kind kind);

  /**
   * Brings the guest over once, and looks at every byte and every marker from outside.
   *
   * @throws IOException if a byte or marker is wrong, or it could not be done
   */
  BenchRound run(BenchGround ground) throws IOException;
}
