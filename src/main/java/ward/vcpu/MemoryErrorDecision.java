package ward.vcpu;

import java.util.Optional;

/**
 * What a vCPU's thread does about a {@link MemoryEvent}.
 *
 * @param error present for {@link Kind#REPORT} only
 * @param reason for people; empty for {@link Kind#REPORT}
 */
record MemoryErrorDecision(Kind kind, Optional<MemoryError> error, String reason) {

  enum Kind {
    /** The guest has lost memory and must hear of it. */
    REPORT,
    /** Nothing happened to the guest's memory. */
    IGNORE,
    /** Nothing is lost, but nothing answers there either: the guest takes a bus abort. */
    REFUSE,
    /** The guest cannot go on, and telling it would not help. */
    FAIL
  }

  static MemoryErrorDecision report(MemoryError error) {
    return new MemoryErrorDecision(Kind.REPORT, Optional.of(error), "");
  }

  static MemoryErrorDecision ignore(String reason) {
    return new MemoryErrorDecision(Kind.IGNORE, Optional.empty(), reason);
  }

  static MemoryErrorDecision refuse(String reason) {
    return new MemoryErrorDecision(Kind.REFUSE, Optional.empty(), reason);
  }

  static MemoryErrorDecision fail(String reason) {
    return new MemoryErrorDecision(Kind.FAIL, Optional.empty(), reason);
  }
}
