package ward.vcpu;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.vcpu.StateFormat.Part;

/**
 * All that an x86 vCPU holds, section by section.
 *
 * <p>The order of saving and of restoring is not free. {@code KVM_GET_MP_STATE} accepts pending
 * INITs, so it comes first; the events come last, since the others may change them. {@code
 * KVM_SET_REGS} drops a pending exception, so the events are restored after it, and last; the local
 * APIC needs the base address in the special registers, and the TSC deadline needs the APIC's timer
 * mode (arch/x86/kvm/x86.c and lapic.c; QEMU's {@code kvm_arch_put_registers} keeps to the same).
 */
final class X86State {

  static final int SREGS2_BYTES = 320;
  static final int XCRS_BYTES = 392;
  static final int DEBUGREGS_BYTES = 128;
  static final int LAPIC_BYTES = 1024;
  static final int EVENTS_BYTES = 64;

  static final KvmStruct REGS =
      new KvmStruct(KvmRegs.SECTION, KvmRegs.SIZE_BYTES, KvmRequest.GET_REGS, KvmRequest.SET_REGS);
  static final KvmStruct SREGS =
      new KvmStruct(
          KvmSregs.SECTION, KvmSregs.SIZE_BYTES, KvmRequest.GET_SREGS, KvmRequest.SET_SREGS);
  static final KvmStruct SREGS2 =
      new KvmStruct("kvm_sregs2", SREGS2_BYTES, KvmRequest.GET_SREGS2, KvmRequest.SET_SREGS2);
  static final KvmStruct MP_STATE =
      new KvmStruct(
          "kvm_mp_state", Integer.BYTES, KvmRequest.GET_MP_STATE, KvmRequest.SET_MP_STATE);
  static final KvmStruct XCRS =
      new KvmStruct("kvm_xcrs", XCRS_BYTES, KvmRequest.GET_XCRS, KvmRequest.SET_XCRS);
  static final KvmStruct DEBUGREGS =
      new KvmStruct(
          "kvm_debugregs", DEBUGREGS_BYTES, KvmRequest.GET_DEBUGREGS, KvmRequest.SET_DEBUGREGS);
  static final KvmStruct LAPIC =
      new KvmStruct("kvm_lapic_state", LAPIC_BYTES, KvmRequest.GET_LAPIC, KvmRequest.SET_LAPIC);
  static final KvmStruct EVENTS =
      new KvmStruct(
          "kvm_vcpu_events", EVENTS_BYTES, KvmRequest.GET_VCPU_EVENTS, KvmRequest.SET_VCPU_EVENTS);

  static final String XSAVE = "kvm_xsave";
  static final int XSAVE_BYTES_LEAST = 4096;

  /** The frequency of the guest's time stamp counter, kHz. */
  static final String TSC_KHZ = "tsc_khz";

  /** What {@code KVM_X86_SETUP_MCE} was given: the guest's IA32_MCG_CAP. */
  static final String MCG_CAP = "mcg_cap";

  static final StateFormat FORMAT =
      new StateFormat(
          List.of(
              REGS.part(true),
              SREGS.part(true),
              SREGS2.part(false),
              MP_STATE.part(false),
              XCRS.part(false),
              DEBUGREGS.part(false),
              LAPIC.part(false),
              EVENTS.part(false),
              new Part(XSAVE, XSAVE_BYTES_LEAST, Integer.BYTES, false),
              new Part(KvmMsrs.SECTION, KvmMsr.HEADER_BYTES, KvmMsr.ENTRY_BYTES, false),
              new Part(KvmCpuid.SECTION, KvmCpuid.HEADER_BYTES, KvmCpuid.ENTRY_BYTES, false),
              Part.optional(TSC_KHZ, Integer.BYTES),
              Part.optional(MCG_CAP, Long.BYTES)));

  static final int MP_STATE_RUNNABLE = 0;
  private static final int IA32_TSC = 0x10;
  private static final int IA32_TSC_DEADLINE = 0x6e0;

  private final KvmVcpu vcpu;
  private final X86Abilities abilities;
  private final KvmCpuid cpuid;
  private final long mcgCap;
  private KvmMsrs inMemory = new KvmMsrs(List.of());

  /**
   * @param cpuid what the guest was given
   * @param mcgCap what the guest was given
   */
  X86State(KvmVcpu vcpu, X86Abilities abilities, KvmCpuid cpuid, long mcgCap) {
    this.vcpu = vcpu;
    this.abilities = abilities;
    this.cpuid = cpuid;
    this.mcgCap = mcgCap;
  }

  Map<String, byte[]> save() throws KernelCallException {
    Map<String, byte[]> sections = new LinkedHashMap<>();
    MP_STATE.save(vcpu, sections);
    REGS.save(vcpu, sections);
    SREGS.save(vcpu, sections);
    if (abilities.sregs2()) {
      SREGS2.save(vcpu, sections);
    }
    sections.put(XSAVE, xsave());
    if (abilities.xcrs()) {
      XCRS.save(vcpu, sections);
    }
    DEBUGREGS.save(vcpu, sections);
    LAPIC.save(vcpu, sections);
    sections.put(KvmMsrs.SECTION, KvmMsrs.read(vcpu, abilities.msrs()).toBytes());
    sections.put(KvmCpuid.SECTION, cpuid.toBytes());
    sections.put(TSC_KHZ, number(vcpu.call(KvmRequest.GET_TSC_KHZ, 0)));
    sections.put(MCG_CAP, number(mcgCap));
    EVENTS.save(vcpu, sections);
    return sections;
  }

  /** The registers that XSAVE saves. */
  byte[] xsave() throws KernelCallException {
    NativeMemory memory = NativeMemory.allocate(abilities.xsaveBytes());
    vcpu.call(abilities.xsave2() ? KvmRequest.GET_XSAVE2 : KvmRequest.GET_XSAVE, memory);
    return memory.getBytes(0, memory.sizeBytes());
  }

  private static int numberOf(byte[] section) {
    NativeMemory memory = NativeMemory.allocate(Integer.BYTES);
    memory.putBytes(0, section);
    return memory.getInt(0);
  }

  private static byte[] number(int value) {
    NativeMemory memory = NativeMemory.allocate(Integer.BYTES);
    memory.putInt(0, value);
    return memory.getBytes(0, Integer.BYTES);
  }

  private static byte[] number(long value) {
    NativeMemory memory = NativeMemory.allocate(Long.BYTES);
    memory.putLong(0, value);
    return memory.getBytes(0, Long.BYTES);
  }

  void restore(VcpuState state) throws IOException {
    restoreFrequency(state);
    boolean whole = abilities.sregs2() && state.sections().containsKey(SREGS2.section());
    (whole ? SREGS2 : SREGS).restore(vcpu, state);
    REGS.restore(vcpu, state);
    restoreXsave(state);
    XCRS.restore(vcpu, state);
    DEBUGREGS.restore(vcpu, state);
    LAPIC.restore(vcpu, state);
    restoreMsrs(state);
    makeRunnable();
    MP_STATE.restore(vcpu, state);
    EVENTS.restore(vcpu, state);
  }

  /** For a state that does not say: a processor but the first waits for a start-up signal. */
  private void makeRunnable() throws KernelCallException {
    NativeMemory runnable = NativeMemory.allocate(Integer.BYTES);
    runnable.putInt(0, MP_STATE_RUNNABLE);
    vcpu.call(KvmRequest.SET_MP_STATE, runnable);
  }

  /** Before the counter itself: KVM computes the counter's offset from the frequency. */
  private void restoreFrequency(VcpuState state) throws IOException {
    byte[] section = state.sections().get(TSC_KHZ);
    if (section == null) {
      return;
    }
    int wanted = numberOf(section);
    int here = vcpu.call(KvmRequest.GET_TSC_KHZ, 0);
    try {
      if (wanted != here) {
        vcpu.call(KvmRequest.SET_TSC_KHZ, wanted);
      }
    } catch (KernelCallException e) {
      throw new UnsupportedKvmException(
          "the guest's time stamp counter runs at %d kHz, this host's at %d kHz, and KVM cannot scale"
                  .formatted(wanted, here)
              + " it (%s): use a host with the same frequency, or one with TSC scaling"
                  .formatted(e.getMessage()));
    }
  }

  /** KVM reads as many bytes as it would write, whatever it is given. */
  private void restoreXsave(VcpuState state) throws IOException {
    byte[] section = state.sections().get(XSAVE);
    if (section == null) {
      return;
    }
    int known = Math.min(section.length, abilities.xsaveBytes());
    for (int i = known; i < section.length; i++) {
      if (section[i] != 0) {
        throw new UnsupportedKvmException(
            "the guest uses %d bytes of extended processor state; this host's KVM has room for %d"
                .formatted(section.length, abilities.xsaveBytes()));
      }
    }
    xsave(Arrays.copyOf(section, known));
  }

  /**
   * @param content what {@link #xsave()} gave, without its zeros at the end at will
   */
  void xsave(byte[] content) throws KernelCallException {
    NativeMemory memory = NativeMemory.allocate(abilities.xsaveBytes());
    memory.putBytes(0, content);
    vcpu.call(KvmRequest.SET_XSAVE, memory);
  }

  /** The counter before its deadline; what touches the guest's memory only when that is there. */
  private void restoreMsrs(VcpuState state) throws IOException {
    byte[] section = state.sections().get(KvmMsrs.SECTION);
    if (section == null) {
      return;
    }
    List<KvmMsrs.Entry> first = new ArrayList<>();
    List<KvmMsrs.Entry> middle = new ArrayList<>();
    List<KvmMsrs.Entry> last = new ArrayList<>();
    List<KvmMsrs.Entry> later = new ArrayList<>();
    for (KvmMsrs.Entry entry : KvmMsrs.of(section).entries()) {
      if (touchesMemory(entry.index())) {
        later.add(entry);
      } else {
        (entry.index() == IA32_TSC ? first : entry.index() == IA32_TSC_DEADLINE ? last : middle)
            .add(entry);
      }
    }
    first.addAll(middle);
    first.addAll(last);
    new KvmMsrs(first).write(vcpu);
    inMemory = new KvmMsrs(later);
  }

  /**
   * KVM's and Hyper-V's own registers hold addresses of pages that the two share with the guest;
   * KVM pins the page of the clock, and writes the wall clock, at once.
   */
  private static boolean touchesMemory(int index) {
    return index == 0x11
        || index == 0x12
        || (index & 0xffffff00) == 0x4b564d00
        || (index & 0xfffffe00) == 0x40000000;
  }

  void restoreIntoMemory() throws IOException {
    inMemory.write(vcpu);
    tellOfPause();
    inMemory = new KvmMsrs(List.of());
  }

  /** So that the guest's watchdog does not take the pause for a hang. */
  private void tellOfPause() throws KernelCallException {
    try {
      vcpu.call(KvmRequest.KVMCLOCK_CTRL, 0);
    } catch (KernelCallException e) {
      if (!e.is(Errno.EINVAL)) { // the guest does not use KVM's clock
        throw e;
      }
    }
  }
}
