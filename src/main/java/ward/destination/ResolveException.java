package ward.destination;

import java.io.IOException;
import ward.uffd.FillResult;

/** The kernel will not take a page for this guest any more: the migration cannot end well. */
final class ResolveException extends IOException {

  ResolveException(String operation, long guestPhysicalAddress, FillResult result) {
    super(
        "%s at guest-physical address 0x%x: %s"
            .formatted(operation, guestPhysicalAddress, result.explanation()));
  }
}
