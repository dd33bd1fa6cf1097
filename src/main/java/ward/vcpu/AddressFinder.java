package ward.vcpu;

import java.util.List;

/**
 * Finds where the instruction at which a vCPU stands reaches into memory, for the case that the
 * host says only that it could not reach it ({@code KVM_RUN} failing with {@code EFAULT}).
 */
@FunctionalInterface
interface AddressFinder {

  /** Nothing can be found. */
  AddressFinder NONE = List::of;

  /**
   * The guest-physical addresses that the instruction may touch, in the order in which the
   * processor would: page tables, its own bytes, its operands. Empty if that cannot be told. Used
   * by the vCPU's own thread, outside KVM_RUN.
   */
  List<Long> reach();
}
