package ward.vcpu;

import ward.kernel.KernelCallException;

/** What a machine check is given to: a vCPU that may or may not be able to take one. */
interface MachineCheckTarget {

  /** CR4.MCE. */
  boolean takesMachineChecks() throws KernelCallException;

  /** IA32_MCG_STATUS.MCIP: the guest has not finished with the last one. */
  boolean isMachineCheckInProgress() throws KernelCallException;

  void deliver(MachineCheck check) throws KernelCallException;
}
