package ward.vcpu;

/**
 * What became of a linear address on its way through a guest's page tables.
 *
 * @param address guest-physical: of the byte where mapped, of the entry where it cannot be read, 0
 *     where nothing is mapped
 */
record X86Translation(Kind kind, long address) {

  enum Kind {
    MAPPED,
    /** The processor would raise a page fault, which is the guest's own affair. */
    NOT_MAPPED,
    /** An entry of a page table cannot be read: the walk ends there, for the processor too. */
    UNREADABLE_TABLE
  }

  static final X86Translation NOT_MAPPED = new X86Translation(Kind.NOT_MAPPED, 0);

  static X86Translation mapped(long address) {
    return new X86Translation(Kind.MAPPED, address);
  }

  static X86Translation unreadable(long address) {
    return new X86Translation(Kind.UNREADABLE_TABLE, address);
  }
}
