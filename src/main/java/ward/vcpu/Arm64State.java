package ward.vcpu;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.vcpu.StateFormat.Part;

/** All that an arm64 vCPU holds: every register that KVM lists, and what it has pending. */
final class Arm64State {

  static final int EVENTS_BYTES = 64;
  static final int SERROR_PENDING = 0;
  static final int SERROR_HAS_ESR = 1;
  static final int EXT_DABT_PENDING = 2;
  static final int SERROR_ESR = 8;

  /** KVM lists fewer than 1000. */
  private static final int REGISTERS_MAX = 8192;

  static final KvmStruct MP_STATE =
      new KvmStruct(
          "kvm_mp_state", Integer.BYTES, KvmRequest.GET_MP_STATE, KvmRequest.SET_MP_STATE);
  static final KvmStruct EVENTS =
      new KvmStruct(
          "kvm_vcpu_events", EVENTS_BYTES, KvmRequest.GET_VCPU_EVENTS, KvmRequest.SET_VCPU_EVENTS);

  static final StateFormat FORMAT =
      new StateFormat(
          List.of(
              new Part(Arm64Registers.SECTION, 0, Arm64Registers.STEP_BYTES, true),
              EVENTS.part(false),
              MP_STATE.part(false)));

  private final KvmVcpu vcpu;

  Arm64State(KvmVcpu vcpu) {
    this.vcpu = vcpu;
  }

  Map<String, byte[]> save() throws KernelCallException {
    Map<String, byte[]> sections = new LinkedHashMap<>();
    Arm64Registers registers = new Arm64Registers();
    for (long id : registerList()) {
      registers.put(id, KvmOneReg.get(vcpu, id));
    }
    sections.put(Arm64Registers.SECTION, registers.toBytes());
    MP_STATE.save(vcpu, sections);
    EVENTS.save(vcpu, sections);
    return sections;
  }

  private long[] registerList() throws KernelCallException {
    NativeMemory list = NativeMemory.allocate(Long.BYTES + REGISTERS_MAX * Long.BYTES);
    list.putLong(0, REGISTERS_MAX);
    vcpu.call(Arm64Request.GET_REG_LIST, list);
    long[] ids = new long[(int) list.getLong(0)];
    for (int i = 0; i < ids.length; i++) {
      ids[i] = list.getLong((i + 1) * Long.BYTES);
    }
    return ids;
  }

  void restore(VcpuState state) throws IOException {
    Map<Long, byte[]> values = Arm64Registers.of(state.section(Arm64Registers.SECTION)).values();
    for (Map.Entry<Long, byte[]> register : values.entrySet()) {
      restore(register.getKey(), register.getValue());
    }
    MP_STATE.restore(vcpu, state);
    EVENTS.restore(vcpu, state);
  }

  private void restore(long id, byte[] value) throws IOException {
    try {
      KvmOneReg.set(vcpu, id, value);
    } catch (KernelCallException e) {
      if (e.is(Errno.EINVAL) || e.is(Errno.ENOENT) || e.is(Errno.EPERM)) {
        throw new UnsupportedKvmException(
            "vCPU %d: this host's KVM does not take register 0x%x as the guest has it (%s): use a"
                    .formatted(vcpu.index(), id, e.getMessage())
                + " host with the same processor and a kernel that is not older");
      }
      throw e;
    }
  }
}
