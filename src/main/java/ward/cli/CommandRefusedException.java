package ward.cli;

import java.io.IOException;

/** The daemon has understood a command and does not do it; the message is its own. */
final class CommandRefusedException extends IOException {

  CommandRefusedException(String reason) {
    super(reason);
  }
}
