package ward.cli;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.testing.RefusingKernel;

/** A kernel that has everything Ward wants, until a test takes something away. */
final class ScriptedKernel extends RefusingKernel {

  private static final long PAGE = 0x7000_0000_0000L;
  private static final long BEHIND_THE_END = 0x7000_0000_2000L;
  private static final long FEATURES_OF_LINUX_6_18 = 0x1ffff;

  /** Descriptors that were opened and are not closed yet. */
  final List<Fd> open = new ArrayList<>();

  final List<Long> mapped = new ArrayList<>();
  final Map<String, Errno> refusedOpens = new HashMap<>();
  final Map<String, Integer> ioctlAnswers = new HashMap<>();

  /** Answers of KVM_CHECK_EXTENSION, where not 1; 31 is KVM_CAP_MCE. */
  final Map<Long, Integer> capabilities = new HashMap<>(Map.of(31L, 32));

  /** What MADV_HWPOISON answers for a page that cannot be there; EFAULT where it would work. */
  int hwpoisonAnswer = -Errno.EFAULT.intValue();

  int mapOverAnswer;
  Errno userfaultfdErrno;
  long features = FEATURES_OF_LINUX_6_18;
  int populateAnswer = -Errno.EHWPOISON.intValue();
  long copyOfPoison = -Errno.EFAULT.intValue();
  long copyOfMemory = Long.BYTES;

  @Override
  public Fd open(String path, int flags) throws KernelCallException {
    if (refusedOpens.containsKey(path)) {
      throw new KernelCallException("open", path, refusedOpens.get(path).intValue());
    }
    return adopt(3 + open.size(), path);
  }

  @Override
  public Fd openUserfaultfd(int flags) throws KernelCallException {
    if (userfaultfdErrno != null) {
      throw new KernelCallException("userfaultfd(2)", "this process", userfaultfdErrno.intValue());
    }
    return adopt(3 + open.size(), "userfaultfd");
  }

  @Override
  public Fd adopt(int number, String name) {
    Fd fd =
        new Fd(
            name, number, closed -> open.removeIf(it -> it.toString().equals(name + "#" + closed)));
    open.add(fd);
    return fd;
  }

  @Override
  public int ioctl(Fd fd, Ioctl request, long argument) {
    int answer = ioctlAnswers.getOrDefault(request.name(), 0);
    if (answer < 0) {
      return answer;
    }
    return switch (request.name()) {
      case "UFFDIO_API" -> put(argument, 8, features);
      case "UFFDIO_REGISTER" -> put(argument, 24, 0x13c);
      case "UFFDIO_POISON" -> put(argument, 24, 4096);
      case "KVM_X86_GET_MCE_CAP_SUPPORTED" -> put(argument, 0, 0x1000100);
      case "KVM_CHECK_EXTENSION" -> capabilities.getOrDefault(argument, 1);
      case "KVM_GET_API_VERSION" -> ioctlAnswers.getOrDefault("KVM_GET_API_VERSION", 12);
      case "KVM_CREATE_VM" -> 77;
      default -> 0;
    };
  }

  private static int put(long struct, int offset, long value) {
    NativeMemory.at(struct + offset, Long.BYTES).putLong(0, value);
    return 0;
  }

  @Override
  public long mapAnonymous(long lengthBytes) {
    mapped.add(PAGE);
    return PAGE;
  }

  @Override
  public int unmap(long address, long lengthBytes) {
    mapped.remove(address);
    return 0;
  }

  @Override
  public int advise(long address, long lengthBytes, int advice) {
    return advice == Linux.MADV_HWPOISON ? hwpoisonAnswer : populateAnswer;
  }

  @Override
  public long copy(long toAddress, long fromAddress, long lengthBytes) {
    if (fromAddress == PAGE) {
      return copyOfPoison;
    }
    if (copyOfMemory == lengthBytes) {
      byte[] bytes = NativeMemory.at(fromAddress, (int) lengthBytes).getBytes(0, (int) lengthBytes);
      NativeMemory.at(toAddress, (int) lengthBytes).putBytes(0, bytes);
    }
    return copyOfMemory;
  }

  @Override
  public Fd createMemfd(String name, long lengthBytes) {
    return adopt(3 + open.size(), name);
  }

  @Override
  public long mapShared(Fd fd, long offsetBytes, long lengthBytes, int protection) {
    mapped.add(BEHIND_THE_END);
    return BEHIND_THE_END;
  }

  @Override
  public int mapOver(Fd fd, long offsetBytes, long address, long lengthBytes) {
    return mapOverAnswer;
  }

  @Override
  public int seal(Fd memfd, int seals) {
    return 0;
  }
}
