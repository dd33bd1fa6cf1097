package ward.vcpu;

import ward.kernel.KernelCallException;

/** A device that the guest sees as a few registers of one byte each. Used by any vCPU's thread. */
interface ByteRegisters {

  /** How many there are. */
  int count();

  /**
   * @param register from 0
   * @return 0 to 255; a read may change the device
   */
  int read(int register) throws KernelCallException;

  /**
   * @param register from 0
   * @param value 0 to 255
   */
  void write(int register, int value) throws KernelCallException;
}
