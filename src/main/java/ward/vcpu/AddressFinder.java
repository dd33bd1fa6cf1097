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
   * The guest-physical addresses of pages that the instruction touches and that cannot be read:
   * page tables, its own bytes, its operands. What the processor would not come to, because an
   * earlier one stops it, is left out. Empty if that cannot be told. Used by the vCPU's own thread,
   * outside KVM_RUN.
   */
  List<Long> reach();
}
