package ward.testbed.lab;

import java.nio.ByteBuffer;
import java.util.OptionalInt;

/**
 * What KVM saves of a guest's abort, {@code struct kvm_vcpu_fault_info}: ESR_EL2, FAR_EL2 and
 * HPFAR_EL2, eight bytes each. Where in the vCPU it is differs between kernels, so it is found by
 * what it holds.
 */
final class SavedFault {

  static final int HPFAR_OFFSET = 16;

  private static final int FAR_OFFSET = 8;
  private static final int CLASS_SHIFT = 26;
  private static final long CLASS_MASK = 0x3f;
  private static final long INSTRUCTION_ABORT = 0x20;
  private static final long DATA_ABORT = 0x24;

  /** Of any level, in the lower two bits. */
  private static final long TRANSLATION_FAULT = 0x04;

  private static final long TRANSLATION_FAULT_MASK = 0x3c;

  /** Exception class, instruction length, and whether it was a write: what stays as it was. */
  private static final long KEPT = 0xfe00_0040L;

  private static final long SYNDROME_MASK = 0x1ff_ffff;

  private SavedFault() {}

  /** The offset of an abort from a lower exception level at that address. */
  static OptionalInt find(ByteBuffer vcpu, long faultAddress) {
    for (int at = 0; at + HPFAR_OFFSET + Long.BYTES <= vcpu.limit(); at += Long.BYTES) {
      if (vcpu.getLong(at + FAR_OFFSET) == faultAddress && isAbort(vcpu.getLong(at))) {
        return OptionalInt.of(at);
      }
    }
    return OptionalInt.empty();
  }

  /**
   * Only a translation that failed: what was forged before may still stand in memory that was a
   * vCPU, behind this one.
   */
  private static boolean isAbort(long syndrome) {
    long exceptionClass = syndrome >>> CLASS_SHIFT & CLASS_MASK;
    return (exceptionClass == DATA_ABORT || exceptionClass == INSTRUCTION_ABORT)
        && (syndrome & TRANSLATION_FAULT_MASK) == TRANSLATION_FAULT;
  }

  static long forged(long syndrome, SeaRequest request) {
    return syndrome & KEPT | request.faultStatus() | request.syndromeBits() & SYNDROME_MASK;
  }
}
