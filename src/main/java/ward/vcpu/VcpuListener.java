package ward.vcpu;

import java.util.Optional;
import ward.guest.GuestExit;

/** Hears of what happens to one vCPU and concerns the whole guest. Called on the vCPU's thread. */
interface VcpuListener {

  /**
   * The vCPU has ended.
   *
   * @param exit empty if it switched itself off, else the guest ends with it
   */
  void onEnd(int vcpu, Optional<GuestExit> exit);

  /** The vCPU was told of an error in such a way that every other one is interrupted too. */
  void onBroadcast(int vcpu);
}
