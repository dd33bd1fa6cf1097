package ward.vcpu;

import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import ward.kernel.KernelCallException;

/**
 * What this host's KVM can say about an x86 vCPU.
 *
 * @param xsaveBytes of the answer to KVM_GET_XSAVE2, and of what KVM_SET_XSAVE reads; 4096 where
 *     the kernel has no KVM_CAP_XSAVE2
 * @param xcrs whether vCPUs have extended control registers
 * @param sregs2 whether the page directory pointers travel with the special registers, so that
 *     restoring those does not read the guest's memory
 * @param msrs registers to save, in the order of their writing
 */
record X86Abilities(
    int xsaveBytes, boolean xsave2, boolean xcrs, boolean sregs2, List<Integer> msrs) {

  static final int CAP_XCRS = 56;
  static final int CAP_SREGS2 = 200;
  static final int CAP_XSAVE2 = 208;

  private static final int XSAVE_BYTES_LEAST = 4096;

  private static final int MCG_CTL = 0x17b;
  private static final int MCG_EXT_CTL = 0x4d0;
  private static final int MC0_CTL2 = 0x280;
  private static final int MC0_CTL = 0x400;
  private static final int REGISTERS_PER_BANK = 4;

  static X86Abilities of(Kvm kvm) throws KernelCallException {
    int xsaveBytes = kvm.checkExtension(CAP_XSAVE2);
    return new X86Abilities(
        Math.max(xsaveBytes, XSAVE_BYTES_LEAST),
        xsaveBytes > 0,
        kvm.checkExtension(CAP_XCRS) > 0,
        kvm.checkExtension(CAP_SREGS2) > 0,
        msrs(kvm));
  }

  /** KVM's own list leaves out the registers of the banks, which its MCG_CAP implies. */
  private static List<Integer> msrs(Kvm kvm) throws KernelCallException {
    Set<Integer> indexes = new LinkedHashSet<>(kvm.msrIndexes());
    indexes.add(KvmMsr.MCG_STATUS);
    indexes.add(MCG_CTL);
    indexes.add(MCG_EXT_CTL);
    for (int bank = 0; bank < MachineChecks.BANKS; bank++) {
      indexes.add(MC0_CTL2 + bank);
      for (int i = 0; i < REGISTERS_PER_BANK; i++) {
        indexes.add(MC0_CTL + bank * REGISTERS_PER_BANK + i);
      }
    }
    return new ArrayList<>(indexes);
  }
}
