package ward.vcpu;

import ward.kernel.Ioctl;

/** The requests of {@code <linux/kvm.h>} that Ward issues on arm64 only. */
final class Arm64Request {

  private static final int KVMIO = 0xAE;

  static final Ioctl GET_ONE_REG =
      Ioctl.write("KVM_GET_ONE_REG", KVMIO, 0xab, KvmOneReg.SIZE_BYTES);
  static final Ioctl SET_ONE_REG =
      Ioctl.write("KVM_SET_ONE_REG", KVMIO, 0xac, KvmOneReg.SIZE_BYTES);
  static final Ioctl VCPU_INIT =
      Ioctl.write("KVM_ARM_VCPU_INIT", KVMIO, 0xae, Arm64.VCPU_INIT_BYTES);
  static final Ioctl PREFERRED_TARGET =
      Ioctl.read("KVM_ARM_PREFERRED_TARGET", KVMIO, 0xaf, Arm64.VCPU_INIT_BYTES);
  static final Ioctl GET_REG_LIST = Ioctl.readWrite("KVM_GET_REG_LIST", KVMIO, 0xb0, Long.BYTES);
  static final Ioctl CREATE_DEVICE =
      Ioctl.readWrite("KVM_CREATE_DEVICE", KVMIO, 0xe0, KvmDevice.CREATE_BYTES);
  static final Ioctl SET_DEVICE_ATTR =
      Ioctl.write("KVM_SET_DEVICE_ATTR", KVMIO, 0xe1, KvmDevice.ATTR_BYTES);
  static final Ioctl GET_DEVICE_ATTR =
      Ioctl.write("KVM_GET_DEVICE_ATTR", KVMIO, 0xe2, KvmDevice.ATTR_BYTES);

  private Arm64Request() {}
}
