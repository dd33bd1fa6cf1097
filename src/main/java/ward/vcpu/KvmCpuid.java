package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import java.util.function.IntUnaryOperator;
import ward.kernel.NativeMemory;

/**
 * What CPUID answers in a guest, the argument of {@code KVM_GET_SUPPORTED_CPUID} and {@code
 * KVM_SET_CPUID2}.
 *
 * <pre>{@code
 * struct kvm_cpuid2 {
 *     __u32 nent;
 *     __u32 padding;
 *     struct kvm_cpuid_entry2 entries[];
 * };
 * struct kvm_cpuid_entry2 {
 *     __u32 function, index, flags, eax, ebx, ecx, edx;
 *     __u32 padding[3];
 * };
 * }</pre>
 */
final class KvmCpuid {

  /** Its name in a {@link VcpuState}. */
  static final String SECTION = "kvm_cpuid2";

  static final int HEADER_BYTES = 8;
  static final int ENTRY_BYTES = 40;
  static final int FUNCTION = 0;
  static final int INDEX = 4;
  static final int EAX = 12;
  static final int EBX = 16;
  static final int ECX = 20;
  static final int EDX = 24;

  private static final int VENDOR_LEAF = 0;
  static final int FEATURES_LEAF = 1;
  private static final Set<Integer> TOPOLOGY_LEAVES = Set.of(0x0b, 0x1f);
  private static final int EXTENDED_FEATURES_LEAF = 7;
  private static final int AMD_FEATURES_LEAF = 0x80000001;
  private static final int AMD_TOPOLOGY_LEAF = 0x8000001e;
  private static final int KVM_FEATURES_LEAF = 0x40000001;

  /** KVM_FEATURE_ASYNC_PF, _ASYNC_PF_VMEXIT and _ASYNC_PF_INT of asm/kvm_para.h. */
  static final int ASYNC_PAGE_FAULTS = 1 << 4 | 1 << 10 | 1 << 14;

  /** "Processor Power Management and RAS Capabilities" of AMD's manual, volume 3, E.4.6. */
  static final int ADVANCED_RAS_LEAF = 0x80000007;

  static final int OVERFLOW_RECOVERY = 1;
  static final int SUCCOR = 1 << 1;

  static final int FMA = 1 << 12;
  static final int DEADLINE_TIMER = 1 << 24;
  static final int XSAVE = 1 << 26;
  static final int AVX = 1 << 28;
  static final int F16C = 1 << 29;
  static final int HYPERVISOR = 1 << 31;
  static final int STRUCTURED_FEATURES_LEAF = 7;
  static final int AVX2 = 1 << 5;
  static final int EXTENDED_STATE_LEAF = 0xd;
  private static final int VMX = 1 << 5;
  private static final int SVM = 1 << 2;
  private static final int SHADOW_STACKS = 1 << 7;

  /** KVM_MAX_CPUID_ENTRIES of asm/kvm_host.h. */
  private static final int CAPACITY = 256;

  private final NativeMemory memory = NativeMemory.allocate(HEADER_BYTES + CAPACITY * ENTRY_BYTES);

  private KvmCpuid(int entryCount) {
    memory.putInt(0, entryCount);
  }

  /** Room for whatever KVM writes into it. */
  static KvmCpuid room() {
    return new KvmCpuid(CAPACITY);
  }

  static KvmCpuid empty() {
    return new KvmCpuid(0);
  }

  /**
   * What travelled.
   *
   * @throws IOException if the section's length is not that of its entries, or KVM takes fewer
   */
  static KvmCpuid of(byte[] section) throws IOException {
    int count = (section.length - HEADER_BYTES) / ENTRY_BYTES;
    int written = ByteBuffer.wrap(section).order(ByteOrder.LITTLE_ENDIAN).getInt(0);
    if (written != count || count > CAPACITY) {
      throw new IOException(
          "section %s announces %s entries and has %d; at most %d are allowed"
              .formatted(SECTION, Integer.toUnsignedString(written), count, CAPACITY));
    }
    KvmCpuid cpuid = new KvmCpuid(count);
    cpuid.memory.putBytes(0, section);
    return cpuid;
  }

  /** The struct with its entries, as a section. */
  byte[] toBytes() {
    return memory.getBytes(0, entry(entryCount()));
  }

  NativeMemory memory() {
    return memory;
  }

  int entryCount() {
    return memory.getInt(0);
  }

  private static int entry(int i) {
    return HEADER_BYTES + i * ENTRY_BYTES;
  }

  void add(int function, int eax, int ebx, int ecx, int edx) {
    int entry = entry(entryCount());
    memory.putInt(0, entryCount() + 1);
    memory.putInt(entry + FUNCTION, function);
    memory.putInt(entry + EAX, eax);
    memory.putInt(entry + EBX, ebx);
    memory.putInt(entry + ECX, ecx);
    memory.putInt(entry + EDX, edx);
  }

  int register(int function, int register) {
    return register(function, 0, register);
  }

  /** What a register answers; 0 where nothing is said about the leaf. */
  int register(int function, int index, int register) {
    for (int i = 0; i < entryCount(); i++) {
      if (memory.getInt(entry(i) + FUNCTION) == function
          && memory.getInt(entry(i) + INDEX) == index) {
        return memory.getInt(entry(i) + register);
      }
    }
    return 0;
  }

  /** Sets bits in each entry of a leaf that is there. */
  private void set(int function, int register, int bits) {
    change(function, register, value -> value | bits);
  }

  private void clear(int function, int register, int bits) {
    change(function, register, value -> value & ~bits);
  }

  private void change(int function, int register, IntUnaryOperator operator) {
    for (int i = 0; i < entryCount(); i++) {
      int entry = entry(i);
      if (memory.getInt(entry + FUNCTION) == function) {
        memory.putInt(entry + register, operator.applyAsInt(memory.getInt(entry + register)));
      }
    }
  }

  /** The twelve characters of leaf 0, such as {@code AuthenticAMD}. */
  String vendor() {
    ByteBuffer letters = ByteBuffer.allocate(12).order(ByteOrder.LITTLE_ENDIAN);
    letters.putInt(register(VENDOR_LEAF, EBX));
    letters.putInt(register(VENDOR_LEAF, EDX));
    letters.putInt(register(VENDOR_LEAF, ECX));
    return new String(letters.array(), StandardCharsets.US_ASCII);
  }

  /** Which processor the guest takes its own for. */
  CpuSignature signature() {
    return CpuSignature.of(CpuVendor.of(vendor()), register(FEATURES_LEAF, EAX));
  }

  /** Writes a vCPU's APIC id into the leaves that report it. */
  void setApicId(int apicId) {
    for (int i = 0; i < entryCount(); i++) {
      int function = memory.getInt(entry(i) + FUNCTION);
      if (function == FEATURES_LEAF) {
        int others = memory.getInt(entry(i) + EBX) & 0x00ffffff;
        memory.putInt(entry(i) + EBX, others | apicId << 24);
      } else if (TOPOLOGY_LEAVES.contains(function)) {
        memory.putInt(entry(i) + EDX, apicId);
      } else if (function == AMD_TOPOLOGY_LEAF) {
        memory.putInt(entry(i) + EAX, apicId);
      }
    }
  }

  /**
   * Hides what a guest would keep state for that no section carries: virtual machines of its own
   * ({@code KVM_GET_NESTED_STATE}) and shadow stacks ({@code KVM_REG_GUEST_SSP}).
   */
  void hideWhatDoesNotTravel() {
    clear(FEATURES_LEAF, ECX, VMX);
    clear(AMD_FEATURES_LEAF, ECX, SVM);
    clear(EXTENDED_FEATURES_LEAF, ECX, SHADOW_STACKS);
  }

  /**
   * Hides KVM's asynchronous page faults: with them a kernel worker waits for a missing page in the
   * vCPU's place, and neither that wait nor an error in it can be told to the vCPU's thread.
   */
  void hideAsyncPageFaults() {
    clear(KVM_FEATURES_LEAF, EAX, ASYNC_PAGE_FAULTS);
  }

  /** Says that a hypervisor is at work, which lets a guest look for its leaves. */
  void showHypervisor() {
    set(FEATURES_LEAF, ECX, HYPERVISOR);
  }

  /** KVM emulates it together with the local APIC, and leaves it out of what it supports. */
  void showDeadlineTimer() {
    set(FEATURES_LEAF, ECX, DEADLINE_TIMER);
  }

  /**
   * Lets a guest on AMD's processors recover from a machine check: Linux panics at an uncorrected
   * error where SUCCOR is clear ({@code mce_severity_amd} in arch/x86/kernel/cpu/mce/severity.c).
   */
  void showMachineCheckRecovery() {
    set(ADVANCED_RAS_LEAF, EBX, OVERFLOW_RECOVERY | SUCCOR);
  }

  /**
   * Takes away the extended state, and the features whose registers are in it: for hosts whose leaf
   * 0xd contradicts itself, where a Linux guest stops with "XSAVE consistency problem".
   */
  void hideExtendedState() {
    clear(FEATURES_LEAF, ECX, XSAVE | AVX | FMA | F16C);
    clear(STRUCTURED_FEATURES_LEAF, EBX, AVX2);
    for (int register : List.of(EAX, EBX, ECX, EDX)) {
      clear(EXTENDED_STATE_LEAF, register, -1);
    }
  }
}
