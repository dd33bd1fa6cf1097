package ward.vcpu;

/**
 * Memory that an instruction touches.
 *
 * @param linearAddress of the first byte, after segmentation and before paging
 */
record X86Operand(long linearAddress, int sizeBytes) {}
