package ward.cli;

import java.io.IOException;
import java.net.InetSocketAddress;
import java.util.Optional;
import ward.destination.DestinationSession;
import ward.guest.Guest;
import ward.kernel.Kernel;
import ward.poison.LedgerJournal;
import ward.source.DepartingGuest;
import ward.source.ServedMemory;
import ward.source.SourceSession;
import ward.source.SourceSettings;
import ward.wire.Transport;
import ward.wire.TransportException;

/**
 * The next hop: a guest that has arrived is offered to another destination by the process that it
 * runs in. Until that one has proved its copy, everything stays here.
 *
 * @param address where the next destination connects to
 */
record Onward(
    Kernel kernel, Transport transport, InetSocketAddress address, SourceSettings settings) {

  /**
   * @param arrived complete: every page is here
   * @throws CommandFailure if the address cannot be had
   */
  SourceRun listen(DestinationSession arrived, LedgerJournal journal, GuestBooks books)
      throws IOException {
    Guest guest = arrived.guest();
    SourceSession.Subject subject =
        new SourceSession.Subject(
            ServedMemory.ofThisProcess(guest.memory()), departing(arrived), journal);
    SourceRun.Parts parts =
        new SourceRun.Parts(settings, kernel, subject, Optional.of(guest), Optional.empty(), books);
    try {
      return SourceRun.listen(parts, transport, address);
    } catch (TransportException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, "--offer: " + e.getMessage());
    }
  }

  private static DepartingGuest departing(DestinationSession arrived) {
    DepartingGuest guest = DepartingGuest.running(arrived.guest());
    return new DepartingGuest() {
      @Override
      public byte[] leave() throws IOException {
        byte[] states = guest.leave();
        arrived.fillGivenBack();
        return states;
      }

      @Override
      public void stay() {
        guest.stay();
      }
    };
  }
}
