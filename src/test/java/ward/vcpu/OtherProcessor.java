package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.Set;
import ward.kernel.Kernel;

/** What CPUID answers in guests that take this host's processor for another one. */
public final class OtherProcessor {

  /** Family 6, model 63: its machine checks interrupt every processor. */
  private static final int HASWELL = 0x306f2;

  /** Family 23, model 1. */
  private static final int ZEN = 0x800f12;

  private OtherProcessor() {}

  /** A CPUID section for a guest that has not run yet. */
  public static byte[] of(CpuVendor vendor, Kernel kernel) throws IOException {
    ByteBuffer cpuid =
        ByteBuffer.wrap(X86CpuModel.likeThisHost(kernel, Set.of())).order(ByteOrder.LITTLE_ENDIAN);
    for (int entry = KvmCpuid.HEADER_BYTES;
        entry < cpuid.capacity();
        entry += KvmCpuid.ENTRY_BYTES) {
      int function = cpuid.getInt(entry + KvmCpuid.FUNCTION);
      if (function == 0 || function == 0x80000000) {
        putVendor(cpuid, entry, vendor == CpuVendor.AMD ? "AuthenticAMD" : "GenuineIntel");
      } else if (function == 1) {
        cpuid.putInt(entry + KvmCpuid.EAX, vendor == CpuVendor.AMD ? ZEN : HASWELL);
      }
    }
    return cpuid.array();
  }

  private static void putVendor(ByteBuffer cpuid, int entry, String letters) {
    ByteBuffer words =
        ByteBuffer.wrap(letters.getBytes(StandardCharsets.US_ASCII)).order(ByteOrder.LITTLE_ENDIAN);
    cpuid.putInt(entry + KvmCpuid.EBX, words.getInt());
    cpuid.putInt(entry + KvmCpuid.EDX, words.getInt());
    cpuid.putInt(entry + KvmCpuid.ECX, words.getInt());
  }
}
