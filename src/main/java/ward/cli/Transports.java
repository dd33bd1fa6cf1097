package ward.cli;

import ward.wire.Transport;
import ward.wire.TransportException;

/** Opens Netty's event loops, or says what they lack. */
final class Transports {

  /** One for the fault path, one for the stream, one for control: none waits for another's copy. */
  private static final int EVENT_LOOPS = 3;

  private Transports() {}

  static Transport open(String name) {
    try {
      return Transport.open(name, EVENT_LOOPS);
    } catch (TransportException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }
}
