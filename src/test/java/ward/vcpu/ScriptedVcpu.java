package ward.vcpu;

import java.lang.reflect.Proxy;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.function.IntSupplier;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.kernel.SignalScript;

/** A kernel with one vCPU, whose KVM_RUN does what was decided beforehand and then powers off. */
final class ScriptedVcpu {

  static final int THREAD = 77;
  private static final int IO_DATA = 0x1000;

  private record Signal(int number, int code, long address) {}

  private final NativeMemory page = NativeMemory.allocate(0x2000);
  private final Deque<IntSupplier> runs = new ArrayDeque<>();
  final Deque<Signal> signals = new ArrayDeque<>();

  /** Signals that were sent, as {@code 38 to 77}. */
  final List<String> sent = new CopyOnWriteArrayList<>();

  /** What the guest's registers were set to, and the status of each machine check. */
  final List<String> changes = new ArrayList<>();

  /** Model specific registers; those that are not here do not exist. */
  final Map<Integer, Long> registers =
      new HashMap<>(
          Map.of(
              KvmMsr.MCG_STATUS,
              0L,
              KvmMsr.MCG_CTL,
              -1L,
              KvmMsr.bankControl(1),
              -1L,
              KvmMsr.bankControl(9),
              -1L,
              KvmMsr.bankStatus(9),
              0L));

  long cr4 = KvmSregs.CR4_MCE;
  long rip = 0x6000;

  Kernel kernel() {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "blockSignals", "hearOfErrorsEarly" -> 0;
                  case "threadId" -> THREAD;
                  case "signalThread" -> send((int) arguments[0], (int) arguments[1]);
                  case "takeSignal" -> take((SignalInfo) arguments[1]);
                  case "ioctl" -> ioctl(((Ioctl) arguments[1]).name(), arguments[2]);
                  case "copy" -> (long) -Errno.EFAULT.intValue(); // no guest memory is there
                  default -> throw new UnsupportedOperationException(method.getName());
                });
  }

  KvmVcpu vcpu(Kernel kernel) {
    return new KvmVcpu(kernel, new Fd("kvm-vcpu-0", 9, number -> {}), 0, page);
  }

  /** A processor of this vendor, of a model from this century. */
  X86Processor processor(KvmVcpu vcpu, CpuVendor vendor) throws KernelCallException {
    return processor(vcpu, vendor, 0x306f0, MachineChecks.GLOBAL_CONTROL_SUPPORTED);
  }

  /**
   * @param version CPUID leaf 1, EAX
   * @param capabilities IA32_MCG_CAP
   */
  X86Processor processor(KvmVcpu vcpu, CpuVendor vendor, int version, long capabilities)
      throws KernelCallException {
    KvmCpuid cpuid = KvmCpuid.empty();
    cpuid.add(
        0,
        1,
        vendor == CpuVendor.AMD ? 0x68747541 : 0x756e6547,
        vendor == CpuVendor.AMD ? 0x444d4163 : 0x6c65746e,
        vendor == CpuVendor.AMD ? 0x69746e65 : 0x49656e69);
    cpuid.add(1, version, 0, 0, 0);
    X86Processor processor = new X86Processor(vcpu, stateOf(vcpu));
    processor.setCpuid(cpuid);
    processor.setUpMachineChecks(capabilities | MachineChecks.BANKS);
    return processor;
  }

  private static X86State stateOf(KvmVcpu vcpu) {
    X86Abilities none =
        new X86Abilities(X86State.XSAVE_BYTES_LEAST, false, false, false, List.of());
    return new X86State(vcpu, none, KvmCpuid.empty(), 0);
  }

  /** The next KVM_RUN exits to the caller. */
  void thenExit(int reason, Runnable more) {
    runs.add(
        () -> {
          page.putInt(KvmRun.EXIT_REASON, reason);
          more.run();
          return 0;
        });
  }

  void thenMmio(long address) {
    thenExit(KvmRun.EXIT_MMIO, () -> page.putLong(KvmRun.MMIO_PHYS_ADDR, address));
  }

  /** The guest writes a byte to a port. */
  void thenOut(int port, int value) {
    thenExit(
        KvmRun.EXIT_IO,
        () -> {
          page.putByte(KvmRun.IO_DIRECTION, (byte) 1);
          page.putByte(KvmRun.IO_SIZE, (byte) 1);
          page.putShort(KvmRun.IO_PORT, (short) port);
          page.putInt(KvmRun.IO_COUNT, 1);
          page.putLong(KvmRun.IO_DATA_OFFSET, IO_DATA);
          page.putByte(IO_DATA, (byte) value);
        });
  }

  /** The next KVM_RUN fails. */
  void thenFail(Errno errno) {
    thenFail(errno, () -> {});
  }

  /** The next KVM_RUN fails, having changed the page that it shares. */
  void thenFail(Errno errno, Runnable more) {
    runs.add(
        () -> {
          more.run();
          return -errno.intValue();
        });
  }

  void memoryFault(long gpa) {
    page.putInt(KvmRun.EXIT_REASON, KvmRun.EXIT_MEMORY_FAULT);
    page.putLong(KvmRun.MEMORY_FAULT_FLAGS, 0);
    page.putLong(KvmRun.MEMORY_FAULT_GPA, gpa);
    page.putLong(KvmRun.MEMORY_FAULT_SIZE, 4096);
  }

  /** The next KVM_RUN ends when a signal is pending. */
  void thenInterrupt(Runnable before) {
    runs.add(
        () -> {
          before.run();
          return -Errno.EINTR.intValue();
        });
  }

  void union(long value) {
    page.putLong(KvmRun.UNION, value);
  }

  void pendBusError(int code, long address) {
    signals.add(new Signal(Linux.SIGBUS, code, address));
  }

  void pendKick() {
    signals.add(new Signal(VcpuLoop.KICK, 0, 0));
  }

  private int send(int thread, int signal) {
    sent.add("%d to %d".formatted(signal, thread));
    return 0;
  }

  private int take(SignalInfo info) {
    Signal signal = signals.poll();
    if (signal == null) {
      return -Errno.EAGAIN.intValue();
    }
    SignalScript.write(info, signal.code(), signal.address(), 12);
    return signal.number();
  }

  private int ioctl(String request, Object argument) {
    return switch (request) {
      case "KVM_RUN" -> run();
      case "KVM_GET_MSRS" -> readRegister((NativeMemory) argument);
      case "KVM_SET_MSRS" -> writeRegister((NativeMemory) argument);
      case "KVM_SET_CPUID2", "KVM_X86_SETUP_MCE", "KVM_GET_XSAVE", "KVM_GET_XSAVE2" -> 0;
      case "KVM_GET_SREGS" -> {
        ((NativeMemory) argument).putLong(KvmSregs.CR4, cr4);
        yield 0;
      }
      case "KVM_GET_REGS" -> {
        ((NativeMemory) argument).putLong(KvmRegs.RIP, rip);
        yield 0;
      }
      case "KVM_SET_REGS" -> {
        rip = ((NativeMemory) argument).getLong(KvmRegs.RIP);
        changes.add("rip 0x%x".formatted(rip));
        yield 0;
      }
      case "KVM_X86_SET_MCE" -> setMachineCheck((NativeMemory) argument);
      case "KVM_SET_SIGNAL_MASK" -> 0;
      case "KVM_KVMCLOCK_CTRL" -> -Errno.EINVAL.intValue();
      default -> throw new UnsupportedOperationException(request);
    };
  }

  private int readRegister(NativeMemory argument) {
    int index = argument.getInt(KvmMsr.HEADER_BYTES + KvmMsr.ENTRY_INDEX);
    if (!registers.containsKey(index)) {
      return 0;
    }
    argument.putLong(KvmMsr.HEADER_BYTES + KvmMsr.ENTRY_DATA, registers.get(index));
    return 1;
  }

  private int writeRegister(NativeMemory argument) {
    registers.put(
        argument.getInt(KvmMsr.HEADER_BYTES + KvmMsr.ENTRY_INDEX),
        argument.getLong(KvmMsr.HEADER_BYTES + KvmMsr.ENTRY_DATA));
    return 1;
  }

  /** As KVM does: only an uncorrected error reaches MCG_STATUS and the guest's handler. */
  private int setMachineCheck(NativeMemory argument) {
    int bank = argument.getByte(KvmX86Mce.BANK);
    long status = argument.getLong(KvmX86Mce.STATUS);
    registers.put(KvmMsr.bankStatus(bank), status);
    if ((status & 1L << 61) != 0) {
      registers.put(KvmMsr.MCG_STATUS, argument.getLong(KvmX86Mce.MCG_STATUS));
    }
    changes.add("check 0x%x".formatted(argument.getLong(KvmX86Mce.ADDR)));
    return 0;
  }

  /** The guest has looked at all banks, and is through with what it found. */
  void finishMachineCheck() {
    registers.put(KvmMsr.MCG_STATUS, 0L);
    registers.put(KvmMsr.bankStatus(MachineChecks.BANK), 0L);
  }

  private int run() {
    if (page.getByte(KvmRun.IMMEDIATE_EXIT) != 0) {
      rip += 3;
      return -Errno.EINTR.intValue();
    }
    return runs.isEmpty() ? powerOff() : runs.remove().getAsInt();
  }

  private int powerOff() {
    page.putInt(KvmRun.EXIT_REASON, KvmRun.EXIT_IO);
    page.putByte(KvmRun.IO_DIRECTION, (byte) 1);
    page.putShort(KvmRun.IO_PORT, (short) DeviceBus.POWER_OFF);
    return 0;
  }
}
