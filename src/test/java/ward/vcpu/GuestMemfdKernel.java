package ward.vcpu;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * The real kernel, which gives a VM's memory from guest_memfd files (Linux 6.18) in the place of
 * what the VM is asked to use.
 */
final class GuestMemfdKernel {

  private static final int KVMIO = 0xAE;
  private static final Ioctl CREATE = Ioctl.readWrite("KVM_CREATE_GUEST_MEMFD", KVMIO, 0xd4, 64);
  private static final Ioctl SET_REGION =
      Ioctl.write("KVM_SET_USER_MEMORY_REGION2", KVMIO, 0x49, 160);

  /** GUEST_MEMFD_FLAG_MMAP and _INIT_SHARED. */
  private static final long MAPPED_AND_SHARED = 3;

  /** KVM_MEM_GUEST_MEMFD. */
  private static final int FROM_FILE = 1 << 2;

  private final Kernel real;
  private final Map<Long, Long> addresses = new TreeMap<>();
  private Optional<String> refusal = Optional.empty();

  GuestMemfdKernel(Kernel real) {
    this.real = real;
  }

  Kernel kernel() {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) -> {
              boolean isRegion =
                  method.getName().equals("ioctl")
                      && arguments[1] == KvmRequest.SET_USER_MEMORY_REGION
                      && arguments[2] instanceof NativeMemory;
              if (isRegion) {
                return setRegion((Fd) arguments[0], (NativeMemory) arguments[2]);
              }
              try {
                return method.invoke(real, arguments);
              } catch (InvocationTargetException e) {
                throw e.getCause();
              }
            });
  }

  /** Why the host gives no such memory; empty if it does. */
  Optional<String> refusal() {
    return refusal;
  }

  /** Where the file's page for this address is mapped. */
  long hostAddressOf(long guestPhysicalAddress) {
    Map.Entry<Long, Long> region =
        ((TreeMap<Long, Long>) addresses).floorEntry(guestPhysicalAddress);
    return region.getValue() + guestPhysicalAddress - region.getKey();
  }

  /** Writes a page as the guest is to find it. */
  void write(long guestPhysicalAddress, NativeMemory content) {
    long to = hostAddressOf(guestPhysicalAddress);
    if (real.copy(to, content.address(), Pages.SIZE_BYTES) != Pages.SIZE_BYTES) {
      throw new IllegalStateException("GPA 0x%x cannot be written".formatted(guestPhysicalAddress));
    }
  }

  private int setRegion(Fd vm, NativeMemory asked) throws KernelCallException {
    long gpa = asked.getLong(KvmMemoryRegion.GUEST_PHYS_ADDR);
    long size = asked.getLong(KvmMemoryRegion.MEMORY_SIZE);
    NativeMemory create = NativeMemory.allocate(64);
    create.putLong(0, size);
    create.putLong(8, MAPPED_AND_SHARED);
    int number = real.ioctl(vm, CREATE, create);
    if (number < 0) {
      refusal = Optional.of("KVM_CREATE_GUEST_MEMFD answers " + number);
      return number;
    }
    long address;
    Fd file = real.adopt(number, "guest_memfd");
    address = real.mapShared(file, 0, size, Linux.PROT_READ | Linux.PROT_WRITE);
    addresses.put(gpa, address);
    NativeMemory region = NativeMemory.allocate(160);
    region.putInt(0, asked.getInt(0));
    region.putInt(4, FROM_FILE);
    region.putLong(8, gpa);
    region.putLong(16, size);
    region.putLong(24, address);
    region.putInt(40, number);
    int result = real.ioctl(vm, SET_REGION, region);
    if (result < 0) {
      refusal = Optional.of("KVM_SET_USER_MEMORY_REGION2 answers " + result);
    }
    return result;
  }
}
