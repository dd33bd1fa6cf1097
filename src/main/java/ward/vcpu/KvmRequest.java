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
  static final Ioctl CREATE_VCPU = Ioctl.plain("KVM_CREATE_VCPU", KVMIO, 0x41);
  static final Ioctl SET_USER_MEMORY_REGION =
      Ioctl.write("KVM_SET_USER_MEMORY_REGION", KVMIO, 0x46, KvmMemoryRegion.SIZE_BYTES);
  static final Ioctl SET_TSS_ADDR = Ioctl.plain("KVM_SET_TSS_ADDR", KVMIO, 0x47);
  static final Ioctl CREATE_IRQCHIP = Ioctl.plain("KVM_CREATE_IRQCHIP", KVMIO, 0x60);
  static final Ioctl IRQ_LINE = Ioctl.write("KVM_IRQ_LINE", KVMIO, 0x61, KvmIrqLevel.SIZE_BYTES);
  static final Ioctl CREATE_PIT2 =
      Ioctl.write("KVM_CREATE_PIT2", KVMIO, 0x77, KvmVm.PIT_CONFIG_BYTES);
  static final Ioctl RUN = Ioctl.plain("KVM_RUN", KVMIO, 0x80);
  static final Ioctl GET_REGS = Ioctl.read("KVM_GET_REGS", KVMIO, 0x81, KvmRegs.SIZE_BYTES);
  static final Ioctl SET_REGS = Ioctl.write("KVM_SET_REGS", KVMIO, 0x82, KvmRegs.SIZE_BYTES);
  static final Ioctl GET_SREGS = Ioctl.read("KVM_GET_SREGS", KVMIO, 0x83, KvmSregs.SIZE_BYTES);
  static final Ioctl SET_SREGS = Ioctl.write("KVM_SET_SREGS", KVMIO, 0x84, KvmSregs.SIZE_BYTES);
  static final Ioctl GET_MSRS = Ioctl.readWrite("KVM_GET_MSRS", KVMIO, 0x88, KvmMsr.HEADER_BYTES);
  static final Ioctl SET_SIGNAL_MASK =
      Ioctl.write("KVM_SET_SIGNAL_MASK", KVMIO, 0x8b, KvmSignalMask.HEADER_BYTES);
  static final Ioctl SET_CPUID2 = Ioctl.write("KVM_SET_CPUID2", KVMIO, 0x90, KvmCpuid.HEADER_BYTES);
  static final Ioctl SET_MP_STATE = Ioctl.write("KVM_SET_MP_STATE", KVMIO, 0x99, Integer.BYTES);
  static final Ioctl X86_SETUP_MCE = Ioctl.write("KVM_X86_SETUP_MCE", KVMIO, 0x9c, Long.BYTES);
  static final Ioctl X86_GET_MCE_CAP_SUPPORTED =
      Ioctl.read("KVM_X86_GET_MCE_CAP_SUPPORTED", KVMIO, 0x9d, Long.BYTES);
  static final Ioctl X86_SET_MCE =
      Ioctl.write("KVM_X86_SET_MCE", KVMIO, 0x9e, KvmX86Mce.SIZE_BYTES);

  private KvmRequest() {}
}
