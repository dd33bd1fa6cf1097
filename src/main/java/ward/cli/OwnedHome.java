package ward.cli;

import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import ward.destination.DestinationPhase;
import ward.destination.DestinationSession;
import ward.destination.GuestHome;
import ward.kernel.Kernel;
import ward.memory.TableRoom;
import ward.owner.OwnedGuestFactory;
import ward.owner.OwnedMemory;
import ward.owner.OwnerConnection;
import ward.owner.OwnerException;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;

/** What `--memory-owner` gives: another process's memory, ready for a guest, or with one. */
final class OwnedHome implements AutoCloseable {

  private final OwnerConnection owner;
  private final Userfaultfd userfaultfd;
  private final MarkerScan scan;
  private final OwnedGuestFactory guests;
  private volatile DestinationSession watched; // null before

  private OwnedHome(OwnerConnection owner, Userfaultfd userfaultfd, MarkerScan scan) {
    this.owner = owner;
    this.userfaultfd = userfaultfd;
    this.scan = scan;
    this.guests = new OwnedGuestFactory(owner);
  }

  /** Attaches to the owner, and looks whether its page tables can be read, and ours have room. */
  static OwnedHome take(Kernel kernel, Path socket, String host, TableRoom room) {
    OwnerConnection owner = attach(socket, host);
    try {
      OwnedMemory memory = owner.memory();
      requireRoom(memory, room);
      Userfaultfd adopted = Userfaultfd.adopt(kernel, owner.userfaultfd(), memory.features());
      return new OwnedHome(owner, adopted, MarkerScan.ofProcess(kernel, memory.process()));
    } catch (IOException e) {
      owner.refuse(e.getMessage());
      owner.userfaultfd().close();
      owner.close();
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  private static void requireRoom(OwnedMemory memory, TableRoom room) throws IOException {
    Optional<String> objection = room.objection(memory.layout().pageCount());
    if (objection.isPresent()) {
      throw new IOException(objection.get() + "; the memory and its guest are left as they are");
    }
  }

  private static OwnerConnection attach(Path socket, String host) {
    try {
      return OwnerConnection.attach(socket, host);
    } catch (OwnerException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }

  /** Whether the guest was ever told to run there. */
  boolean hasRun() {
    return owner.memory().hasRun();
  }

  GuestChoice choice() {
    return new GuestChoice(
        "owner",
        "the memory of guest %s, and its vCPUs, belong to process %d"
            .formatted(owner.memory().layout().guest(), owner.memory().process()),
        guests);
  }

  DestinationSession.Parts parts(DestinationSession.LedgerOpener ledgers, TableRoom room) {
    OwnedMemory memory = owner.memory();
    GuestHome home =
        new GuestHome(guests.present(), memory.givenBack(), memory.hasRun(), identity());
    return new DestinationSession.Parts(
        guests, ledgers, userfaultfd, scan, Optional.of(home), room);
  }

  /** A process number is used again; together with the moment of its start it is not. */
  private String identity() {
    long process = owner.memory().process();
    return ProcessHandle.of(process)
        .flatMap(handle -> handle.info().startInstant())
        .map(start -> "process %d, started %s".formatted(process, start))
        .orElse("process %d".formatted(process));
  }

  /** A guest whose memory is gone needs no more pages. */
  void watch(DestinationSession session) {
    watched = session;
    owner.gone().thenAccept(session::abandon);
  }

  @Override
  public void close() {
    if (watched != null) {
      DestinationPhase last = watched.phase();
      owner.farewell(last == DestinationPhase.COMPLETE, "the daemon ends in phase " + last);
    }
    owner.close();
    userfaultfd.close();
  }
}
