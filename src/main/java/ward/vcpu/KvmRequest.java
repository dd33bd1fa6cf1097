package ward.vcpu;

import ward.kernel.Ioctl;

/** The requests of {@code <linux/kvm.h>} that Ward issues. */
final class KvmRequest {

  private static final int KVMIO = 0xAE;

  static final Ioctl GET_API_VERSION = Ioctl.plain("KVM_GET_API_VERSION", KVMIO, 0x00);
  static final Ioctl CREATE_VM = Ioctl.plain("KVM_CREATE_VM", KVMIO, 0x01);
  static final Ioctl CHECK_EXTENSION = Ioctl.plain("KVM_CHECK_EXTENSION", KVMIO, 0x03);
  static final Ioctl GET_VCPU_MMAP_SIZE = Ioctl.plain("KVM_GET_VCPU_MMAP_SIZE", KVMIO, 0x04);
  static final Ioctl GET_SUPPORTED_CPUID =
      Ioctl.readWrite("KVM_GET_SUPPORTED_CPUID", KVMIO, 0x05, KvmCpuid.HEADER_BYTES);
  static final Ioctl GET_MSR_INDEX_LIST =
      Ioctl.readWrite("KVM_GET_MSR_INDEX_LIST", KVMIO, 0x02, Integer.BYTES);
  static final Ioctl CREATE_VCPU = Ioctl.plain("KVM_CREATE_VCPU", KVMIO, 0x41);
  static final Ioctl SET_USER_MEMORY_REGION =
      Ioctl.write("KVM_SET_USER_MEMORY_REGION", KVMIO, 0x46, KvmMemoryRegion.SIZE_BYTES);
  static final Ioctl SET_TSS_ADDR = Ioctl.plain("KVM_SET_TSS_ADDR", KVMIO, 0x47);
  static final Ioctl CREATE_IRQCHIP = Ioctl.plain("KVM_CREATE_IRQCHIP", KVMIO, 0x60);
  static final Ioctl IRQ_LINE = Ioctl.write("KVM_IRQ_LINE", KVMIO, 0x61, KvmIrqLevel.SIZE_BYTES);
  static final Ioctl GET_IRQCHIP =
      Ioctl.readWrite("KVM_GET_IRQCHIP", KVMIO, 0x62, X86Machine.IRQCHIP_BYTES);

  /** The header calls it a read. */
  static final Ioctl SET_IRQCHIP =
      Ioctl.read("KVM_SET_IRQCHIP", KVMIO, 0x63, X86Machine.IRQCHIP_BYTES);

  static final Ioctl CREATE_PIT2 =
      Ioctl.write("KVM_CREATE_PIT2", KVMIO, 0x77, X86Machine.PIT_CONFIG_BYTES);
  static final Ioctl SET_CLOCK = Ioctl.write("KVM_SET_CLOCK", KVMIO, 0x7b, X86Machine.CLOCK_BYTES);
  static final Ioctl GET_CLOCK = Ioctl.read("KVM_GET_CLOCK", KVMIO, 0x7c, X86Machine.CLOCK_BYTES);
  static final Ioctl RUN = Ioctl.plain("KVM_RUN", KVMIO, 0x80);
  static final Ioctl GET_REGS = Ioctl.read("KVM_GET_REGS", KVMIO, 0x81, KvmRegs.SIZE_BYTES);
  static final Ioctl SET_REGS = Ioctl.write("KVM_SET_REGS", KVMIO, 0x82, KvmRegs.SIZE_BYTES);
  static final Ioctl GET_SREGS = Ioctl.read("KVM_GET_SREGS", KVMIO, 0x83, KvmSregs.SIZE_BYTES);
  static final Ioctl SET_SREGS = Ioctl.write("KVM_SET_SREGS", KVMIO, 0x84, KvmSregs.SIZE_BYTES);
  static final Ioctl GET_MSRS = Ioctl.readWrite("KVM_GET_MSRS", KVMIO, 0x88, KvmMsr.HEADER_BYTES);
  static final Ioctl SET_MSRS = Ioctl.write("KVM_SET_MSRS", KVMIO, 0x89, KvmMsr.HEADER_BYTES);
  static final Ioctl SET_SIGNAL_MASK =
      Ioctl.write("KVM_SET_SIGNAL_MASK", KVMIO, 0x8b, KvmSignalMask.HEADER_BYTES);
  static final Ioctl SET_CPUID2 = Ioctl.write("KVM_SET_CPUID2", KVMIO, 0x90, KvmCpuid.HEADER_BYTES);
  static final Ioctl GET_MP_STATE = Ioctl.read("KVM_GET_MP_STATE", KVMIO, 0x98, Integer.BYTES);
  static final Ioctl SET_MP_STATE = Ioctl.write("KVM_SET_MP_STATE", KVMIO, 0x99, Integer.BYTES);
  static final Ioctl X86_SETUP_MCE = Ioctl.write("KVM_X86_SETUP_MCE", KVMIO, 0x9c, Long.BYTES);
  static final Ioctl X86_GET_MCE_CAP_SUPPORTED =
      Ioctl.read("KVM_X86_GET_MCE_CAP_SUPPORTED", KVMIO, 0x9d, Long.BYTES);
  static final Ioctl X86_SET_MCE =
      Ioctl.write("KVM_X86_SET_MCE", KVMIO, 0x9e, KvmX86Mce.SIZE_BYTES);

  static final Ioctl GET_LAPIC = Ioctl.read("KVM_GET_LAPIC", KVMIO, 0x8e, X86State.LAPIC_BYTES);
  static final Ioctl SET_LAPIC = Ioctl.write("KVM_SET_LAPIC", KVMIO, 0x8f, X86State.LAPIC_BYTES);
  static final Ioctl GET_VCPU_EVENTS =
      Ioctl.read("KVM_GET_VCPU_EVENTS", KVMIO, 0x9f, X86State.EVENTS_BYTES);
  static final Ioctl GET_PIT2 = Ioctl.read("KVM_GET_PIT2", KVMIO, 0x9f, X86Machine.PIT_BYTES);
  static final Ioctl SET_VCPU_EVENTS =
      Ioctl.write("KVM_SET_VCPU_EVENTS", KVMIO, 0xa0, X86State.EVENTS_BYTES);
  static final Ioctl SET_PIT2 = Ioctl.write("KVM_SET_PIT2", KVMIO, 0xa0, X86Machine.PIT_BYTES);
  static final Ioctl GET_DEBUGREGS =
      Ioctl.read("KVM_GET_DEBUGREGS", KVMIO, 0xa1, X86State.DEBUGREGS_BYTES);
  static final Ioctl SET_DEBUGREGS =
      Ioctl.write("KVM_SET_DEBUGREGS", KVMIO, 0xa2, X86State.DEBUGREGS_BYTES);
  static final Ioctl SET_TSC_KHZ = Ioctl.plain("KVM_SET_TSC_KHZ", KVMIO, 0xa2);
  static final Ioctl GET_TSC_KHZ = Ioctl.plain("KVM_GET_TSC_KHZ", KVMIO, 0xa3);
  static final Ioctl ENABLE_CAP =
      Ioctl.write("KVM_ENABLE_CAP", KVMIO, 0xa3, KvmVm.ENABLE_CAP_BYTES);
  static final Ioctl GET_XSAVE =
      Ioctl.read("KVM_GET_XSAVE", KVMIO, 0xa4, X86State.XSAVE_BYTES_LEAST);
  static final Ioctl SET_XSAVE =
      Ioctl.write("KVM_SET_XSAVE", KVMIO, 0xa5, X86State.XSAVE_BYTES_LEAST);
  static final Ioctl GET_XCRS = Ioctl.read("KVM_GET_XCRS", KVMIO, 0xa6, X86State.XCRS_BYTES);
  static final Ioctl SET_XCRS = Ioctl.write("KVM_SET_XCRS", KVMIO, 0xa7, X86State.XCRS_BYTES);
  static final Ioctl KVMCLOCK_CTRL = Ioctl.plain("KVM_KVMCLOCK_CTRL", KVMIO, 0xad);
  static final Ioctl GET_SREGS2 = Ioctl.read("KVM_GET_SREGS2", KVMIO, 0xcc, X86State.SREGS2_BYTES);
  static final Ioctl SET_SREGS2 = Ioctl.write("KVM_SET_SREGS2", KVMIO, 0xcd, X86State.SREGS2_BYTES);
  static final Ioctl GET_XSAVE2 =
      Ioctl.read("KVM_GET_XSAVE2", KVMIO, 0xcf, X86State.XSAVE_BYTES_LEAST);

  private KvmRequest() {}
}
