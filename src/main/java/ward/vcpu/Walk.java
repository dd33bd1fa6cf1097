package ward.vcpu;

import java.io.IOException;

/** What one thread of a {@link ThreadGuest} does: it touches pages, in native code. */
interface Walk {

  /**
   * Goes to the end, or until the gate says no.
   *
   * @param gate asked before each step
   * @return whether it came to the end
   */
  boolean through(VcpuGate gate) throws IOException;
}
