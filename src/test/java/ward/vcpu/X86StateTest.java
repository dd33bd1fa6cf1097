package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.NativeMemory;

/** The order in which a state is put in, and what is done with what KVM does not take. */
class X86StateTest {

  private static final int TSC = 0x10;
  private static final int DEADLINE = 0x6e0;
  private static final int KVM_CLOCK = 0x4b564d01;
  private static final int STAR = 0xc0000081;

  private final List<String> calls = new ArrayList<>();
  private final Map<Integer, Long> held = new HashMap<>();
  private final List<Integer> refused = new ArrayList<>();
  private boolean scales;

  private final Kernel kernel =
      (Kernel)
          Proxy.newProxyInstance(
              Kernel.class.getClassLoader(),
              new Class<?>[] {Kernel.class},
              (proxy, method, arguments) -> ioctl((Ioctl) arguments[1], arguments[2]));

  private final KvmVcpu vcpu =
      new KvmVcpu(kernel, new Fd("kvm-vcpu-0", 9, number -> {}), 0, NativeMemory.allocate(0x1000));

  private final X86State state =
      new X86State(
          vcpu,
          new X86Abilities(4096, true, true, true, List.of(TSC, STAR, DEADLINE, KVM_CLOCK)),
          KvmCpuid.empty(),
          0x10a);

  private int ioctl(Ioctl request, Object argument) {
    String name = request.name().substring("KVM_".length());
    return switch (name) {
      case "SET_MSRS" -> setMsrs((NativeMemory) argument);
      case "GET_MSRS" -> getMsrs((NativeMemory) argument);
      case "GET_TSC_KHZ" -> 2_000_000;
      case "SET_TSC_KHZ" -> {
        calls.add(name);
        yield scales ? 0 : -Errno.EINVAL.intValue();
      }
      default -> {
        calls.add(name);
        yield 0;
      }
    };
  }

  private int setMsrs(NativeMemory list) {
    int taken = 0;
    for (KvmMsrs.Entry entry : entries(list)) {
      if (refused.contains(entry.index())) {
        return taken;
      }
      calls.add("MSR 0x%x".formatted(entry.index()));
      taken++;
    }
    return taken;
  }

  private int getMsrs(NativeMemory list) {
    List<KvmMsrs.Entry> entries = entries(list);
    for (int i = 0; i < entries.size(); i++) {
      Long value = held.get(entries.get(i).index());
      if (value == null) {
        return i;
      }
      list.putLong(KvmMsr.HEADER_BYTES + i * KvmMsr.ENTRY_BYTES + KvmMsr.ENTRY_DATA, value);
    }
    return entries.size();
  }

  private static List<KvmMsrs.Entry> entries(NativeMemory list) {
    return KvmMsrs.of(list.getBytes(0, list.sizeBytes())).entries();
  }

  private static byte[] khz(int value) {
    NativeMemory memory = NativeMemory.allocate(Integer.BYTES);
    memory.putInt(0, value);
    return memory.getBytes(0, Integer.BYTES);
  }

  private static Map<String, byte[]> sections(Object... more) {
    Map<String, byte[]> sections = new HashMap<>();
    sections.put(KvmRegs.SECTION, new byte[KvmRegs.SIZE_BYTES]);
    sections.put(KvmSregs.SECTION, new byte[KvmSregs.SIZE_BYTES]);
    for (int i = 0; i < more.length; i += 2) {
      sections.put((String) more[i], (byte[]) more[i + 1]);
    }
    return sections;
  }

  private static byte[] msrs(int... indexes) {
    List<KvmMsrs.Entry> entries = new ArrayList<>();
    for (int index : indexes) {
      entries.add(new KvmMsrs.Entry(index, 7));
    }
    return new KvmMsrs(entries).toBytes();
  }

  private void restore(Map<String, byte[]> sections) throws IOException {
    state.restore(new VcpuState(0, sections));
  }

  @Test
  void aStateOfNothingButRegistersIsARunnableProcessor() throws IOException {
    restore(sections());

    assertThat(calls).containsExactly("SET_SREGS", "SET_REGS", "SET_MP_STATE");
  }

  @Test
  void theOrderIsTheOneThatKvmDemands() throws IOException {
    scales = true;
    restore(
        sections(
            X86State.TSC_KHZ,
            khz(3_000_000),
            "kvm_sregs2",
            new byte[X86State.SREGS2_BYTES],
            "kvm_lapic_state",
            new byte[X86State.LAPIC_BYTES],
            "kvm_vcpu_events",
            new byte[X86State.EVENTS_BYTES],
            "kvm_mp_state",
            new byte[Integer.BYTES],
            X86State.XSAVE,
            new byte[X86State.XSAVE_BYTES_LEAST],
            "kvm_xcrs",
            new byte[X86State.XCRS_BYTES],
            KvmMsrs.SECTION,
            msrs(DEADLINE, STAR, TSC)));

    assertThat(calls)
        .containsExactly(
            "SET_TSC_KHZ",
            "SET_SREGS2",
            "SET_REGS",
            "SET_XSAVE",
            "SET_XCRS",
            "SET_LAPIC",
            "MSR 0x10",
            "MSR 0xc0000081",
            "MSR 0x6e0",
            "SET_MP_STATE",
            "SET_MP_STATE",
            "SET_VCPU_EVENTS");
  }

  @Test
  void whatTouchesTheGuestsMemoryWaitsUntilThatIsThere() throws IOException {
    restore(sections(KvmMsrs.SECTION, msrs(KVM_CLOCK, STAR, 0x11, 0x40000000)));
    List<String> before = List.copyOf(calls);
    calls.clear();

    state.restoreIntoMemory();

    assertThat(before).contains("MSR 0xc0000081").doesNotContain("MSR 0x4b564d01", "MSR 0x11");
    assertThat(calls)
        .containsExactly("MSR 0x4b564d01", "MSR 0x11", "MSR 0x40000000", "KVMCLOCK_CTRL");
  }

  @Test
  void aRegisterThatIsRefusedButHoldsTheValueAlreadyDoesNoHarm() throws IOException {
    refused.add(0xce);
    held.put(0xce, 7L);

    restore(sections(KvmMsrs.SECTION, msrs(0xce, STAR)));

    assertThat(calls).contains("MSR 0xc0000081");
  }

  @Test
  void aRegisterThatIsRefusedOtherwiseIsNamedWithBothValues() {
    refused.add(0xce);
    held.put(0xce, 8L);

    assertThatThrownBy(() -> restore(sections(KvmMsrs.SECTION, msrs(STAR, 0xce))))
        .isInstanceOf(UnsupportedKvmException.class)
        .hasMessage(
            "kvm-vcpu-0#9 does not take MSR 0xce = 0x7, which the guest brings (it has MSR 0xce ="
                + " 0x8): this host's kernel or processor cannot run this guest, use one like the"
                + " source's");
  }

  @Test
  void aTimeStampCounterThatCannotBeScaledIsRefusedWithBothFrequencies() {
    assertThatThrownBy(() -> restore(sections(X86State.TSC_KHZ, khz(3_000_000))))
        .isInstanceOf(UnsupportedKvmException.class)
        .hasMessageContaining("runs at 3000000 kHz, this host's at 2000000 kHz");
  }

  @Test
  void theSameFrequencyIsLeftAlone() throws IOException {
    restore(sections(X86State.TSC_KHZ, khz(2_000_000)));

    assertThat(calls).doesNotContain("SET_TSC_KHZ");
  }

  @Test
  void moreExtendedStateThanTheHostHasRoomForIsRefusedUnlessItIsUnused() throws IOException {
    byte[] wide = new byte[X86State.XSAVE_BYTES_LEAST + 64];
    restore(sections(X86State.XSAVE, wide));
    wide[X86State.XSAVE_BYTES_LEAST] = 1;

    assertThatThrownBy(() -> restore(sections(X86State.XSAVE, wide)))
        .isInstanceOf(UnsupportedKvmException.class)
        .hasMessageContaining("4160 bytes of extended processor state", "room for 4096");
  }

  @Test
  void registersThatTheHostDoesNotHaveAreLeftOutOfAState() throws IOException {
    held.put(TSC, 1L);
    held.put(DEADLINE, 2L);

    Map<String, byte[]> saved = state.save();

    assertThat(KvmMsrs.of(saved.get(KvmMsrs.SECTION)).entries())
        .containsExactly(new KvmMsrs.Entry(TSC, 1), new KvmMsrs.Entry(DEADLINE, 2));
    assertThat(calls).startsWith("GET_MP_STATE").endsWith("GET_VCPU_EVENTS");
    X86State.FORMAT.check("vCPU 0", saved);
  }
}
