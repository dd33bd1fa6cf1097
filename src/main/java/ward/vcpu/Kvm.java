package ward.vcpu;

import java.util.List;
import java.util.stream.IntStream;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;

/** {@code /dev/kvm}: what this host's KVM can do, and the way to a new VM. */
public final class Kvm implements AutoCloseable {

  private static final String DEVICE = "/dev/kvm";
  private static final int API_VERSION = 12;

  private static final int CAP_USER_MEMORY = 3;
  private static final int CAP_SYNC_MMU = 16;
  private static final int CAP_TSC_DEADLINE_TIMER = 72;
  private static final int CAP_IMMEDIATE_EXIT = 136;

  /** Linux 6.18 lists fewer than 350. */
  private static final int MSRS_MAX = 2048;

  private final Kernel kernel;
  private final Fd fd;

  private Kvm(Kernel kernel, Fd fd) {
    this.kernel = kernel;
    this.fd = fd;
  }

  /**
   * Opens the device and makes sure that it can do what Ward needs.
   *
   * @throws KernelCallException {@code ENOENT} where there is no KVM, {@code EACCES} where the user
   *     may not use it
   * @throws UnsupportedKvmException naming what is missing
   */
  public static Kvm open(Kernel kernel) throws KernelCallException, UnsupportedKvmException {
    Kvm kvm = new Kvm(kernel, kernel.open(DEVICE, Linux.O_RDWR));
    try {
      kvm.requireAbilities();
      return kvm;
    } catch (KernelCallException | UnsupportedKvmException e) {
      kvm.close();
      throw e;
    }
  }

  private void requireAbilities() throws KernelCallException, UnsupportedKvmException {
    int version = apiVersion();
    if (version != API_VERSION) {
      throw new UnsupportedKvmException(
          "KVM_GET_API_VERSION answers %d; Ward speaks %d, as does every Linux since 2.6.22"
              .formatted(version, API_VERSION));
    }
    require(CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY", 1);
    require(CAP_SYNC_MMU, "KVM_CAP_SYNC_MMU", 1);
    require(CAP_IMMEDIATE_EXIT, "KVM_CAP_IMMEDIATE_EXIT", 1);
  }

  /**
   * @param name of the extension, {@code KVM_CAP_*}
   * @param least what it must answer
   */
  void require(int extension, String name, int least)
      throws KernelCallException, UnsupportedKvmException {
    int answer = checkExtension(extension);
    if (answer < least) {
      throw new UnsupportedKvmException(
          "%s of %s is %d; at least %d is needed: use a newer kernel, or another host"
              .formatted(name, fd, answer, least));
    }
  }

  /** The version of the interface: 12. */
  public int apiVersion() throws KernelCallException {
    return call(KvmRequest.GET_API_VERSION, 0);
  }

  /**
   * What KVM says of one of its extensions: 0 for no, 1 for yes, or a number that the extension
   * defines.
   *
   * @param extension {@code KVM_CAP_*}
   */
  public int checkExtension(int extension) throws KernelCallException {
    return call(KvmRequest.CHECK_EXTENSION, extension);
  }

  /** The bits of IA32_MCG_CAP that a guest may have, without the number of banks. */
  public long supportedMachineCheckCapabilities() throws KernelCallException {
    NativeMemory capabilities = NativeMemory.allocate(Long.BYTES);
    call(KvmRequest.X86_GET_MCE_CAP_SUPPORTED, capabilities);
    return capabilities.getLong(0);
  }

  /**
   * The model specific registers that a guest's state consists of, but for those of the machine
   * check banks.
   */
  List<Integer> msrIndexes() throws KernelCallException {
    NativeMemory list = NativeMemory.allocate(Integer.BYTES + MSRS_MAX * Integer.BYTES);
    list.putInt(0, MSRS_MAX);
    call(KvmRequest.GET_MSR_INDEX_LIST, list);
    return IntStream.rangeClosed(1, list.getInt(0))
        .mapToObj(i -> list.getInt(i * Integer.BYTES))
        .toList();
  }

  /** What CPUID answers in a guest of whom nothing else is said: this host's processor. */
  KvmCpuid guestCpuid() throws KernelCallException {
    KvmCpuid cpuid = supportedCpuid();
    cpuid.hideAsyncPageFaults();
    cpuid.showHypervisor();
    if (checkExtension(CAP_TSC_DEADLINE_TIMER) > 0) {
      cpuid.showDeadlineTimer();
    }
    if (CpuVendor.of(cpuid.vendor()) == CpuVendor.AMD) {
      cpuid.showMachineCheckRecovery();
    }
    return cpuid;
  }

  private KvmCpuid supportedCpuid() throws KernelCallException {
    KvmCpuid cpuid = KvmCpuid.room();
    call(KvmRequest.GET_SUPPORTED_CPUID, cpuid.memory());
    return cpuid;
  }

  KvmVm createVm() throws KernelCallException {
    int runBytes = call(KvmRequest.GET_VCPU_MMAP_SIZE, 0);
    int number = call(KvmRequest.CREATE_VM, 0);
    return new KvmVm(kernel, kernel.adopt(number, "kvm-vm"), runBytes);
  }

  private int call(Ioctl request, long argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  private int call(Ioctl request, NativeMemory argument) throws KernelCallException {
    return KvmCall.make(kernel, fd, request, argument);
  }

  @Override
  public void close() {
    fd.close();
  }
}
