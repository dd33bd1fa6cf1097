package ward.vcpu;

import java.lang.ref.Reference;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * A device that KVM emulates and that is set up by attributes.
 *
 * <pre>{@code
 * struct kvm_create_device { __u32 type; __u32 fd; __u32 flags; };
 * struct kvm_device_attr { __u32 flags; __u32 group; __u64 attr; __u64 addr; };
 * }</pre>
 */
final class KvmDevice implements AutoCloseable {

  static final int CREATE_BYTES = 12;
  static final int CREATE_FD = 4;
  static final int ATTR_BYTES = 24;
  static final int ATTR_GROUP = 4;
  static final int ATTR_ATTR = 8;
  static final int ATTR_ADDR = 16;

  private final Kernel kernel;
  private final Fd fd;

  private KvmDevice(Kernel kernel, Fd fd) {
    this.kernel = kernel;
    this.fd = fd;
  }

  /**
   * @param type {@code KVM_DEV_TYPE_*}
   */
  static KvmDevice create(Kernel kernel, KvmVm vm, int type, String name)
      throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(CREATE_BYTES);
    argument.putInt(0, type);
    vm.call(Arm64Request.CREATE_DEVICE, argument);
    return new KvmDevice(kernel, kernel.adopt(argument.getInt(CREATE_FD), name));
  }

  /** Does what an attribute without a value stands for. */
  void command(int group, long attribute) throws KernelCallException {
    call(Arm64Request.SET_DEVICE_ATTR, group, attribute, 0);
  }

  void set(int group, long attribute, byte[] content) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(content.length);
    value.putBytes(0, content);
    call(Arm64Request.SET_DEVICE_ATTR, group, attribute, value);
  }

  void setLong(int group, long attribute, long content) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(Long.BYTES);
    value.putLong(0, content);
    call(Arm64Request.SET_DEVICE_ATTR, group, attribute, value);
  }

  void setInt(int group, long attribute, int content) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(Integer.BYTES);
    value.putInt(0, content);
    call(Arm64Request.SET_DEVICE_ATTR, group, attribute, value);
  }

  byte[] get(int group, long attribute, int sizeBytes) throws KernelCallException {
    NativeMemory value = NativeMemory.allocate(sizeBytes);
    call(Arm64Request.GET_DEVICE_ATTR, group, attribute, value);
    return value.getBytes(0, sizeBytes);
  }

  private void call(Ioctl request, int group, long attribute, NativeMemory value)
      throws KernelCallException {
    try {
      call(request, group, attribute, value.address());
    } finally {
      Reference.reachabilityFence(value);
    }
  }

  private void call(Ioctl request, int group, long attribute, long address)
      throws KernelCallException {
    NativeMemory argument = NativeMemory.allocate(ATTR_BYTES);
    argument.putInt(ATTR_GROUP, group);
    argument.putLong(ATTR_ATTR, attribute);
    argument.putLong(ATTR_ADDR, address);
    KvmCall.make(kernel, fd, request, argument);
  }

  @Override
  public void close() {
    fd.close();
  }
}
