package ward.guest;

import java.io.IOException;
import ward.memory.GuestLayout;

/** Makes the guest that a migration brings, once the source has said what it looks like. */
@FunctionalInterface
public interface GuestFactory {

  /**
   * Creates a paused guest with empty memory.
   *
   * @param vcpuStates what the source's vCPUs hold, as the vCPU core of the same architecture wrote
   *     it; empty when only memory moves
   * @throws IOException if this host cannot run such a guest, or the state cannot be understood
   */
  Guest create(GuestLayout layout, byte[] vcpuStates) throws IOException;
}
