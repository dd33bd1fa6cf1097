package ward.vcpu;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.function.Supplier;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.KernelCallException;

/**
 * What a guest's I/O ports, and addresses that are not RAM, lead to. One for all vCPUs.
 *
 * <p>These ports are always there; devices are attached before the guest runs. Everything else
 * reads as ones and swallows what is written, as a bus does where nothing is attached.
 *
 * <pre>
 * 0x064  write of 0xfe    the guest resets itself, as with a PC's keyboard controller
 * 0x500  write, 32 bits   a word of the guest's report
 * 0x501  write            this vCPU is off
 * 0x502  write            the guest is off
 * 0x503  read             how often the guest has moved to another host, modulo 256
 * 0x504  write, 32 bits   a word of the guest's report aside
 * </pre>
 *
 * <p>An architecture without ports has the same four registers in memory, see {@link
 * MemoryRegister}.
 */
final class DeviceBus {

  static final int KEYBOARD_CONTROLLER = 0x64;
  static final int PULSE_RESET = 0xfe;
  static final int REPORT = 0x500;
  static final int POWER_OFF = 0x501;
  static final int MACHINE_OFF = 0x502;
  static final int REPORT_ASIDE = 0x504;

  /** Where in memory {@code 0x500} to {@code 0x504} are, eight bytes each in this order. */
  enum MemoryRegister {
    REPORT,
    REPORT_ASIDE,
    POWER_OFF,
    MACHINE_OFF;

    static final int STRIDE_BYTES = 8;

    int offset() {
      return ordinal() * STRIDE_BYTES;
    }
  }

  private static final long NOWHERE = -1;
  private static final Logger LOG = LoggerFactory.getLogger(DeviceBus.class);
  private static final int ALL_ONES = 0xff;

  /** What becomes of the vCPU that made an access. */
  enum Outcome {
    RUNS_ON,
    VCPU_IS_OFF,
    GUEST_IS_OFF,
    GUEST_RESETS
  }

  /**
   * A device and where it stands.
   *
   * @param shift log2 of the distance of two registers, bytes
   */
  private record Attachment(long first, int shift, ByteRegisters device) {

    boolean holds(long address) {
      return address >= first && address < first + ((long) device.count() << shift);
    }

    boolean isRegister(long address) {
      return (address - first & (1 << shift) - 1) == 0;
    }

    int register(long address) {
      return (int) (address - first >> shift);
    }
  }

  private final ReportListener reports;
  private final List<Attachment> ports = new ArrayList<>();
  private final List<Attachment> memory = new ArrayList<>();
  private final Map<String, Supplier<byte[]>> states = new HashMap<>();
  private final Set<Integer> mentioned = ConcurrentHashMap.newKeySet();
  private volatile boolean mmioMentioned;
  private long registers = NOWHERE;

  DeviceBus(ReportListener reports) {
    this.reports = reports;
  }

  /**
   * @param first port of register 0; the others follow
   */
  void attachPorts(int first, ByteRegisters device) {
    ports.add(new Attachment(first, 0, device));
  }

  /**
   * @param first guest-physical address of register 0
   * @param shift log2 of the distance of two registers, bytes
   */
  void attachMemory(long first, int shift, ByteRegisters device) {
    memory.add(new Attachment(first, shift, device));
  }

  /**
   * @param first guest-physical address of the first {@link MemoryRegister}
   */
  void attachReports(long first) {
    registers = first;
  }

  /**
   * @param section the name of the device's state in {@link VcpuStates#machine()}
   */
  void travelsWith(String section, Supplier<byte[]> state) {
    states.put(section, state);
  }

  /** What the devices hold, by section. No vCPU runs meanwhile. */
  Map<String, byte[]> save() {
    Map<String, byte[]> sections = new HashMap<>();
    states.forEach((section, state) -> sections.put(section, state.get()));
    return sections;
  }

  /** Handles a KVM_EXIT_IO. */
  Outcome onIo(int vcpu, KvmRun exit) throws KernelCallException {
    Optional<Attachment> device = find(ports, exit.ioPort());
    if (device.isPresent()) {
      passOn(device.get(), exit);
      return Outcome.RUNS_ON;
    }
    return exit.isOut() ? onOut(vcpu, exit) : onUnknownPort(vcpu, exit);
  }

  private static Optional<Attachment> find(List<Attachment> attachments, long address) {
    return attachments.stream().filter(attachment -> attachment.holds(address)).findFirst();
  }

  /** An access wider than a register reaches those behind it too, lowest first. */
  private static void passOn(Attachment device, KvmRun exit) throws KernelCallException {
    for (int access = 0; access < exit.ioCount(); access++) {
      for (int i = 0; i < exit.ioSizeBytes(); i++) {
        int port = exit.ioPort() + i;
        if (exit.isOut()) {
          write(device, port, exit.ioByte(access, i));
        } else {
          exit.answerIoByte(access, i, read(device, port));
        }
      }
    }
  }

  private static int read(Attachment device, long address) throws KernelCallException {
    return device.holds(address) && device.isRegister(address)
        ? device.device().read(device.register(address))
        : ALL_ONES;
  }

  private static void write(Attachment device, long address, int value) throws KernelCallException {
    if (device.holds(address) && device.isRegister(address)) {
      device.device().write(device.register(address), value);
    }
  }

  private Outcome onOut(int vcpu, KvmRun exit) {
    return switch (exit.ioPort()) {
      case POWER_OFF -> Outcome.VCPU_IS_OFF;
      case MACHINE_OFF -> Outcome.GUEST_IS_OFF;
      case KEYBOARD_CONTROLLER ->
          exit.ioByte(0, 0) == PULSE_RESET ? Outcome.GUEST_RESETS : onUnknownPort(vcpu, exit);
      case REPORT, REPORT_ASIDE ->
          exit.ioSizeBytes() == Integer.BYTES ? onReport(vcpu, exit) : onUnknownPort(vcpu, exit);
      default -> onUnknownPort(vcpu, exit);
    };
  }

  private Outcome onReport(int vcpu, KvmRun exit) {
    for (int i = 0; i < exit.ioCount(); i++) {
      if (exit.ioPort() == REPORT) {
        reports.onWord(vcpu, exit.ioValue(i));
      } else {
        reports.onAside(vcpu, exit.ioValue(i));
      }
    }
    return Outcome.RUNS_ON;
  }

  private Outcome onUnknownPort(int vcpu, KvmRun exit) {
    if (mentioned.add(exit.ioPort())) {
      LOG.info(
          "vCPU {} {} port 0x{} ({} bytes), where nothing is attached; not mentioned again",
          vcpu,
          exit.isOut() ? "writes to" : "reads from",
          Integer.toHexString(exit.ioPort()),
          exit.ioSizeBytes());
    }
    if (!exit.isOut()) {
      exit.answerIoWithOnes();
    }
    return Outcome.RUNS_ON;
  }

  /** Handles a KVM_EXIT_MMIO outside RAM. */
  Outcome onMmio(int vcpu, KvmRun exit) throws KernelCallException {
    Optional<MemoryRegister> register = register(exit);
    if (register.isPresent()) {
      return onRegister(vcpu, register.get(), exit.mmioWord());
    }
    Optional<Attachment> device = find(memory, exit.mmioAddress());
    if (device.isPresent()) {
      passOnMmio(device.get(), exit);
    } else {
      onUnknownAddress(vcpu, exit);
    }
    return Outcome.RUNS_ON;
  }

  private Optional<MemoryRegister> register(KvmRun exit) {
    boolean isWord = exit.mmioIsWrite() && exit.mmioSizeBytes() == Integer.BYTES;
    return isWord && registers != NOWHERE
        ? Arrays.stream(MemoryRegister.values())
            .filter(register -> registers + register.offset() == exit.mmioAddress())
            .findFirst()
        : Optional.empty();
  }

  private Outcome onRegister(int vcpu, MemoryRegister register, int value) {
    switch (register) {
      case REPORT -> reports.onWord(vcpu, value);
      case REPORT_ASIDE -> reports.onAside(vcpu, value);
      case POWER_OFF -> {
        return Outcome.VCPU_IS_OFF;
      }
      case MACHINE_OFF -> {
        return Outcome.GUEST_IS_OFF;
      }
    }
    return Outcome.RUNS_ON;
  }

  private static void passOnMmio(Attachment device, KvmRun exit) throws KernelCallException {
    for (int i = 0; i < exit.mmioSizeBytes(); i++) {
      long address = exit.mmioAddress() + i;
      if (exit.mmioIsWrite()) {
        write(device, address, exit.mmioByte(i));
      } else {
        exit.answerMmioByte(i, read(device, address));
      }
    }
  }

  private void onUnknownAddress(int vcpu, KvmRun exit) {
    if (!mmioMentioned) {
      mmioMentioned = true;
      LOG.info(
          "vCPU {} accesses GPA 0x{}, where nothing is attached; not mentioned again",
          vcpu,
          Long.toHexString(exit.mmioAddress()));
    }
    if (!exit.mmioIsWrite()) {
      exit.answerMmioWithOnes();
    }
  }
}
