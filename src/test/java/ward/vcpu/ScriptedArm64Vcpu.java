package ward.vcpu;

import java.lang.reflect.Proxy;
import java.util.HashMap;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.NativeMemory;

/**
 * An arm64 vCPU of 64-bit registers. A pending data abort is taken at the next KVM_RUN, as kernels
 * before 6.16 do it; the guest runs no instruction.
 */
final class ScriptedArm64Vcpu {

  static final long VBAR = 0xffff_8000_0801_0000L;
  static final long PC = 0xffff_8000_0812_3450L;

  /** What KVM remembers of the last abort's address. */
  static final long FAULT_ADDRESS = 0x7f00_1234_5678L;

  static final long EL1 = 5;

  private final NativeMemory page = NativeMemory.allocate(0x1000);

  final Map<Long, Long> registers =
      new HashMap<>(
          Map.of(
              Arm64Registers.PC, PC,
              Arm64Registers.PSTATE, EL1,
              Arm64Registers.VBAR_EL1, VBAR,
              Arm64Registers.SCTLR_EL1, 0L,
              Arm64Registers.TCR_EL1, 0L,
              Arm64Registers.TTBR0_EL1, 0L,
              Arm64Registers.TTBR1_EL1, 0L,
              Arm64Registers.ID_AA64MMFR1_EL1, 0L));

  boolean hasRas = true;
  boolean dataAbortPending;
  boolean errorPending;
  long errorSyndrome;

  KvmVcpu vcpu() {
    return new KvmVcpu(kernel(), new Fd("kvm-vcpu-0", 9, number -> {}), 0, page);
  }

  private Kernel kernel() {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) -> {
              if (method.getName().equals("ioctl")) {
                return ioctl(((Ioctl) arguments[1]).name(), arguments[2]);
              }
              throw new UnsupportedOperationException(method.getName());
            });
  }

  private int ioctl(String request, Object argument) {
    return switch (request) {
      case "KVM_RUN" -> takeAbort();
      case "KVM_GET_ONE_REG" -> {
        value(argument).putLong(0, registers.get(id(argument)));
        yield 0;
      }
      case "KVM_SET_ONE_REG" -> {
        registers.put(id(argument), value(argument).getLong(0));
        yield 0;
      }
      case "KVM_GET_VCPU_EVENTS" -> {
        ((NativeMemory) argument).putByte(Arm64State.SERROR_PENDING, (byte) (errorPending ? 1 : 0));
        yield 0;
      }
      case "KVM_SET_VCPU_EVENTS" -> setEvents((NativeMemory) argument);
      default -> throw new UnsupportedOperationException(request);
    };
  }

  private static long id(Object argument) {
    return ((NativeMemory) argument).getLong(0);
  }

  private static NativeMemory value(Object argument) {
    return NativeMemory.at(((NativeMemory) argument).getLong(KvmOneReg.ADDR), Long.BYTES);
  }

  private int setEvents(NativeMemory events) {
    boolean withSyndrome = events.getByte(Arm64State.SERROR_HAS_ESR) != 0;
    if (withSyndrome && !hasRas) {
      return -Errno.EINVAL.intValue();
    }
    errorPending = events.getByte(Arm64State.SERROR_PENDING) != 0;
    errorSyndrome = withSyndrome ? events.getLong(Arm64State.SERROR_ESR) : 0;
    dataAbortPending = events.getByte(Arm64State.EXT_DABT_PENDING) != 0;
    return 0;
  }

  private int takeAbort() {
    if (dataAbortPending) {
      dataAbortPending = false;
      registers.put(Arm64Registers.ESR_EL1, 0x96000010L);
      registers.put(Arm64Registers.FAR_EL1, FAULT_ADDRESS);
      registers.put(Arm64Registers.ELR_EL1, registers.get(Arm64Registers.PC));
      registers.put(Arm64Registers.PC, VBAR + 0x200);
    }
    return -Errno.EINTR.intValue();
  }
}
