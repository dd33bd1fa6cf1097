package ward.vcpu;

import java.time.Instant;
import java.util.OptionalLong;

/**
 * A guest was told of an error: what came in, and what went out.
 *
 * @param hostAddress of the page, in this process; empty where the page is not known
 */
public record MemoryErrorEvent(
    Instant time, MemoryError error, OptionalLong hostAddress, Injection injection) {

  /** For the log: everything, in one line. */
  @Override
  public String toString() {
    return "memory error at %s (HVA %s, lsb %d, %s, from %s) -> %s%s"
        .formatted(
            error.place(),
            hostAddress.isPresent() ? "0x%x".formatted(hostAddress.getAsLong()) : "unknown",
            error.lsb(),
            error.severity(),
            error.input(),
            injection,
            error.vcpu() < 0 ? "" : " on vCPU " + error.vcpu());
  }
}
