package ward.vcpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * Model specific registers and what they hold, in the order in which they are written.
 *
 * <p>As a section they are {@code struct kvm_msrs}; {@link KvmMsr} shows it.
 */
record KvmMsrs(List<Entry> entries) {

  static final String SECTION = "kvm_msrs";

  /** MAX_IO_MSRS of arch/x86/kvm/x86.c: more in one call are refused with E2BIG. */
  private static final int MAX_PER_CALL = 256;

  /** One register. */
  record Entry(int index, long data) {

    @Override
    public String toString() {
      return "MSR 0x%x = 0x%x".formatted(index, data);
    }
  }

  KvmMsrs {
    entries = List.copyOf(entries);
  }

  static KvmMsrs of(byte[] section) {
    ByteBuffer bytes = ByteBuffer.wrap(section).order(ByteOrder.LITTLE_ENDIAN);
    List<Entry> entries = new ArrayList<>();
    for (int at = KvmMsr.HEADER_BYTES; at < section.length; at += KvmMsr.ENTRY_BYTES) {
      entries.add(
          new Entry(bytes.getInt(at + KvmMsr.ENTRY_INDEX), bytes.getLong(at + KvmMsr.ENTRY_DATA)));
    }
    return new KvmMsrs(entries);
  }

  byte[] toBytes() {
    NativeMemory memory = memory(entries);
    return memory.getBytes(0, memory.sizeBytes());
  }

  private static NativeMemory memory(List<Entry> entries) {
    NativeMemory memory =
        NativeMemory.allocate(KvmMsr.HEADER_BYTES + entries.size() * KvmMsr.ENTRY_BYTES);
    memory.putInt(0, entries.size());
    int at = KvmMsr.HEADER_BYTES;
    for (Entry entry : entries) {
      memory.putInt(at + KvmMsr.ENTRY_INDEX, entry.index());
      memory.putLong(at + KvmMsr.ENTRY_DATA, entry.data());
      at += KvmMsr.ENTRY_BYTES;
    }
    return memory;
  }

  /** What a vCPU's registers hold; those that it does not have are left out. */
  static KvmMsrs read(KvmVcpu vcpu, List<Integer> indexes) throws KernelCallException {
    List<Entry> read = new ArrayList<>();
    int next = 0;
    while (next < indexes.size()) {
      List<Integer> asked = indexes.subList(next, Math.min(indexes.size(), next + MAX_PER_CALL));
      List<Entry> answered = readWhileKnown(vcpu, asked);
      read.addAll(answered);
      // KVM stops at the first register that it does not know.
      next += answered.size() < asked.size() ? answered.size() + 1 : answered.size();
    }
    return new KvmMsrs(read);
  }

  private static List<Entry> readWhileKnown(KvmVcpu vcpu, List<Integer> indexes)
      throws KernelCallException {
    NativeMemory memory = memory(indexes.stream().map(index -> new Entry(index, 0)).toList());
    int count = vcpu.call(KvmRequest.GET_MSRS, memory);
    return of(memory.getBytes(0, memory.sizeBytes())).entries().subList(0, count);
  }

  /**
   * Writes them, in order.
   *
   * @throws UnsupportedKvmException naming a register that KVM does not take and that does not hold
   *     the value already
   */
  void write(KvmVcpu vcpu) throws KernelCallException, UnsupportedKvmException {
    int next = 0;
    while (next < entries.size()) {
      List<Entry> given = entries.subList(next, Math.min(entries.size(), next + MAX_PER_CALL));
      int taken = vcpu.call(KvmRequest.SET_MSRS, memory(given));
      next += taken;
      if (taken < given.size()) {
        requireHeld(vcpu, given.get(taken));
        next++;
      }
    }
  }

  private static void requireHeld(KvmVcpu vcpu, Entry wanted)
      throws KernelCallException, UnsupportedKvmException {
    List<Entry> held = readWhileKnown(vcpu, List.of(wanted.index()));
    if (!held.contains(wanted)) {
      throw new UnsupportedKvmException(
          "%s does not take %s, which the guest brings (%s): this host's kernel or processor cannot"
                  .formatted(vcpu, wanted, held.isEmpty() ? "it has none" : "it has " + held.get(0))
              + " run this guest, use one like the source's");
    }
  }
}
