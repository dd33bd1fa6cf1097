package ward.vcpu;

import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.vcpu.StateFormat.Part;

/** What a PC has beside its processors: interrupt controllers, the timer, KVM's clock. */
final class X86Machine implements Machine {

  static final int IRQCHIP_BYTES = 520;
  static final int PIT_BYTES = 112;
  static final int PIT_CONFIG_BYTES = 64;
  static final int CLOCK_BYTES = 48;

  /** {@code flags} of {@code struct kvm_clock_data}, after the clock itself. */
  static final int CLOCK_FLAGS = 8;

  /** KVM_PIT_SPEAKER_DUMMY: port 0x61 exists, and makes no sound. */
  static final int SPEAKER_DUMMY = 1;

  private static final String PIT = "kvm_pit_state2";
  private static final String CLOCK = "kvm_clock_data";

  /** The chips of {@code struct kvm_irqchip}, which begins with {@code __u32 chip_id}. */
  enum Chip {
    PIC_MASTER,
    PIC_SLAVE,
    IOAPIC;

    String section() {
      return "kvm_irqchip." + name().toLowerCase(java.util.Locale.ROOT);
    }
  }

  static final StateFormat FORMAT =
      new StateFormat(
          List.of(
              Part.optional(Chip.PIC_MASTER.section(), IRQCHIP_BYTES),
              Part.optional(Chip.PIC_SLAVE.section(), IRQCHIP_BYTES),
              Part.optional(Chip.IOAPIC.section(), IRQCHIP_BYTES),
              Part.optional(PIT, PIT_BYTES),
              Part.optional(CLOCK, CLOCK_BYTES),
              GhesLayout.PART,
              Part.optional(SerialPort.SECTION, SerialPort.STATE_BYTES),
              Part.optional(CopyDevice.SECTION, CopyDevice.STATE_BYTES)));

  private final KvmVm vm;

  private X86Machine(KvmVm vm) {
    this.vm = vm;
  }

  /** Before the VM has a vCPU. */
  static X86Machine make(KvmVm vm) throws KernelCallException {
    vm.createInterruptControllers();
    NativeMemory config = NativeMemory.allocate(PIT_CONFIG_BYTES);
    config.putInt(0, SPEAKER_DUMMY);
    vm.call(KvmRequest.CREATE_PIT2, config);
    return new X86Machine(vm);
  }

  @Override
  public Map<String, byte[]> save() throws KernelCallException {
    Map<String, byte[]> sections = new HashMap<>();
    for (Chip chip : Chip.values()) {
      NativeMemory memory = NativeMemory.allocate(IRQCHIP_BYTES);
      memory.putInt(0, chip.ordinal());
      vm.call(KvmRequest.GET_IRQCHIP, memory);
      sections.put(chip.section(), memory.getBytes(0, IRQCHIP_BYTES));
    }
    sections.put(PIT, get(KvmRequest.GET_PIT2, PIT_BYTES));
    sections.put(CLOCK, get(KvmRequest.GET_CLOCK, CLOCK_BYTES));
    return sections;
  }

  private byte[] get(Ioctl request, int sizeBytes) throws KernelCallException {
    NativeMemory memory = NativeMemory.allocate(sizeBytes);
    vm.call(request, memory);
    return memory.getBytes(0, sizeBytes);
  }

  @Override
  public void restore(Map<String, byte[]> sections) throws KernelCallException {
    for (Chip chip : Chip.values()) {
      set(KvmRequest.SET_IRQCHIP, sections.get(chip.section()));
    }
    set(KvmRequest.SET_PIT2, sections.get(PIT));
    restoreClock(sections.get(CLOCK));
  }

  private void set(Ioctl request, byte[] content) throws KernelCallException {
    if (content != null) {
      vm.call(request, memory(content));
    }
  }

  /** Without its flags: the guest's time stands still while it moves, as its TSC does. */
  private void restoreClock(byte[] content) throws KernelCallException {
    if (content != null) {
      NativeMemory clock = memory(content);
      clock.putInt(CLOCK_FLAGS, 0);
      vm.call(KvmRequest.SET_CLOCK, clock);
    }
  }

  private static NativeMemory memory(byte[] content) {
    NativeMemory memory = NativeMemory.allocate(content.length);
    memory.putBytes(0, content);
    return memory;
  }
}
