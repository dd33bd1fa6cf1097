package ward.vcpu;

import java.io.IOException;
import java.util.OptionalLong;
import jnr.constants.platform.Errno;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;
import ward.poison.Severity;

/** Every word of every page of a share, twice. */
final class ReadingWalk implements Walk {

  private static final int PASSES = 2;
  private static final int PAGE_LSB = 12;
  private static final int EFAULT = Errno.EFAULT.intValue();

  private final Kernel kernel;
  private final int index;
  private final int[] share;
  private final GuestMemory memory;
  private final MemoryErrors errors;
  private final TouchListener listener;
  private final NativeMemory hash = NativeMemory.allocate(Long.BYTES);
  private final SignalInfo fault = new SignalInfo();

  ReadingWalk(
      Kernel kernel,
      int index,
      int[] share,
      GuestMemory memory,
      MemoryErrors errors,
      TouchListener listener) {
    this.kernel = kernel;
    this.index = index;
    this.share = share;
    this.memory = memory;
    this.errors = errors;
    this.listener = listener;
  }

  @Override
  public boolean through(VcpuGate gate) throws IOException {
    for (int pass = 0; pass < PASSES; pass++) {
      for (int page : share) {
        if (!gate.enter()) {
          return false;
        }
        touch(page);
      }
    }
    return true;
  }

  private void touch(long page) throws IOException {
    hash.putLong(0, memory.layout().addressOf(page));
    int result = kernel.fold(memory.hostAddressOf(page), Pages.SIZE_BYTES, hash, fault);
    if (result == 0) {
      listener.onPage(index, page, false, hash.getLong(0));
    } else if (result == -EFAULT) {
      errors.consumed(lossOf(page));
      listener.onPage(index, page, true, 0);
    } else {
      throw new KernelCallException("fold", "page " + page, -result);
    }
  }

  /**
   * {@code si_code} says how the host's kernel was built ({@code CONFIG_MEMORY_FAILURE}), not what
   * happened: this was a load from guest memory, so the page is lost.
   */
  private MemoryError lossOf(long page) {
    return new MemoryError(
        OptionalLong.of(memory.layout().addressOf(page)),
        Severity.ACTION_REQUIRED,
        Math.max(PAGE_LSB, fault.addressLsb()),
        input(fault.code()),
        index);
  }

  private static MemoryError.Input input(int code) {
    return switch (code) {
      case Linux.BUS_MCEERR_AR -> MemoryError.Input.SIGBUS_ACTION_REQUIRED;
      case Linux.BUS_OBJERR -> MemoryError.Input.SIGBUS_OBJECT_ERROR;
      default -> MemoryError.Input.SIGBUS_ADDRESS_ERROR;
    };
  }
}
