package ward.vcpu;

import java.util.Map;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;

/**
 * A struct that KVM gives and takes back as it is, one section of a vCPU's state.
 *
 * @param section its kernel name
 */
record KvmStruct(String section, int sizeBytes, Ioctl get, Ioctl set) {

  StateFormat.Part part(boolean required) {
    return new StateFormat.Part(section, sizeBytes, 0, required);
  }

  void save(KvmVcpu vcpu, Map<String, byte[]> into) throws KernelCallException {
    NativeMemory memory = NativeMemory.allocate(sizeBytes);
    vcpu.call(get, memory);
    into.put(section, memory.getBytes(0, sizeBytes));
  }

  /** Does nothing where the state has no such section. */
  void restore(KvmVcpu vcpu, VcpuState state) throws KernelCallException {
    byte[] content = state.sections().get(section);
    if (content != null) {
      NativeMemory memory = NativeMemory.allocate(sizeBytes);
      memory.putBytes(0, content);
      vcpu.call(set, memory);
    }
  }
}
