package ward.vcpu;

import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.GuestRegion;

/** A virtual machine without vCPUs yet. Nothing here touches guest memory. */
final class KvmVm implements AutoCloseable {

  /** Three pages below 4 GiB which KVM wants on some Intel processors; above every guest's RAM. */
  private static final long TSS_ADDRESS = 0xfffbd000L;

  /** {@code struct kvm_enable_cap}: __u32 cap; __u32 flags; __u64 args[4]; ... */
  static final int ENABLE_CAP_BYTES = 104;

  static final int ENABLE_CAP_ARGUMENT = 8;

  private final Kernel kernel;
  private final Fd fd;
  private final int runBytes;

  KvmVm(Kernel kernel, Fd fd, int runBytes) {
    this.kernel = kernel;
    this.fd = fd;
    this.runBytes = runBytes;
  }

  void createInterruptControllers() throws KernelCallException {
    call(KvmRequest.SET_TSS_ADDR, TSS_ADDRESS);
    call(KvmRequest.CREATE_IRQCHIP, 0);
  }

  /** Turns an extension on that changes what KVM answers about this VM. */
  void enable(int extension, long argument) throws KernelCallException {
    NativeMemory enable = NativeMemory.allocate(ENABLE_CAP_BYTES);
    enable.putInt(0, extension);
    enable.putLong(ENABLE_CAP_ARGUMENT, argument);
    call(KvmRequest.ENABLE_CAP, enable);
  }

  void setMemory(GuestMemory memory) throws KernelCallException {
    int slot = 0;
    for (GuestRegion region : memory.layout().regions()) {
      KvmMemoryRegion argument =
          new KvmMemoryRegion(
              slot,
              region.guestPhysicalAddress(),
              region.lengthBytes(),
              memory.hostAddressOfRegion(slot));
      call(KvmRequest.SET_USER_MEMORY_REGION, argument.memory());
      slot++;
    }
  }

  /**
   * @param number as {@link KvmIrqLevel} has it
   */
  InterruptLine interruptLine(int number) {
    return asserted -> call(KvmRequest.IRQ_LINE, new KvmIrqLevel(number, asserted).memory());
  }

  KvmVcpu createVcpu(int index) throws KernelCallException {
    int number = call(KvmRequest.CREATE_VCPU, index);
    Fd vcpu = kernel.adopt(number, "kvm-vcpu-" + index);
    try {
      int protection = Linux.PROT_READ | Linux.PROT_WRITE;
      long run = kernel.mapShared(vcpu, 0, runBytes, protection);
      return new KvmVcpu(kernel, vcpu, index, NativeMemory.at(run, runBytes));
    } catch (KernelCallException e) {
      vcpu.close();
      throw e;
    }
  }

  private int call(Ioctl request, long argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  /**
   * @param type {@code KVM_DEV_TYPE_*}
   */
  KvmDevice createDevice(int type, String name) throws KernelCallException {
    return KvmDevice.create(kernel, this, type, name);
  }

  int call(Ioctl request, NativeMemory argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  @Override
  public void close() {
    fd.close();
  }
}
