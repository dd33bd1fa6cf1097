package ward.owner;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.concurrent.CompletionStage;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;

/** A guest that another process runs. Closing it leaves it there. */
final class OwnedGuest implements Guest {

  private final OwnerConnection owner;

  OwnedGuest(OwnerConnection owner) {
    this.owner = owner;
  }

  @Override
  public GuestMemory memory() {
    return owner.memory().memory();
  }

  /**
   * {@inheritDoc}
   *
   * @throws UncheckedIOException if the owner refuses, or does not answer
   */
  @Override
  public void resume() {
    try {
      owner.resume();
    } catch (OwnerException e) {
      throw new UncheckedIOException(e);
    }
  }

  /**
   * {@inheritDoc}
   *
   * @throws UncheckedIOException if the owner refuses, or does not answer
   */
  @Override
  public void pause() {
    try {
      owner.pause();
    } catch (OwnerException e) {
      throw new UncheckedIOException(e);
    }
  }

  @Override
  public byte[] save() throws IOException {
    throw new OwnerException("what the vCPUs hold is the memory owner's to save");
  }

  @Override
  public CompletionStage<GuestExit> exited() {
    return owner.exited();
  }

  @Override
  public void close() {}

  @Override
  public String toString() {
    return "guest %s of process %d".formatted(memory().layout().guest(), owner.memory().process());
  }
}
