package ward.vcpu;

import ward.kernel.KernelCallException;

/** The wire from a device to the guest's interrupt controller. */
@FunctionalInterface
interface InterruptLine {

  /**
   * @param asserted whether the device wants to be served; it stays so until told otherwise
   */
  void level(boolean asserted) throws KernelCallException;
}
