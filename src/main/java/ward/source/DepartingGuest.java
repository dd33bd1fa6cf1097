package ward.source;

import java.io.IOException;
import ward.guest.Guest;

/** The guest that a source gives away, as far as a session has to do with it. */
public interface DepartingGuest {

  /**
   * A destination has come: from here on the guest stands still, and its memory does not change.
   * Called on the session's thread, at most once.
   *
   * @return what its vCPUs hold, as the destination's {@link ward.guest.GuestFactory} takes it;
   *     empty when only memory moves
   * @throws IOException if the guest has ended, or its state cannot be had
   */
  byte[] leave() throws IOException;

  /** The migration was given up before the guest can have run elsewhere: it is as it was. */
  void stay();

  /**
   * A guest that does not run here, and is paused already.
   *
   * @param vcpuStates empty when only memory moves
   */
  static DepartingGuest asleep(byte[] vcpuStates) {
    return new DepartingGuest() {
      @Override
      public byte[] leave() {
        return vcpuStates;
      }

      @Override
      public void stay() {}
    };
  }

  /** A guest that runs here until it is fetched, and again when it is not. */
  static DepartingGuest running(Guest guest) {
    return new DepartingGuest() {
      @Override
      public byte[] leave() throws IOException {
        guest.pause();
        return guest.save();
      }

      @Override
      public void stay() {
        guest.resume();
      }
    };
  }
}
