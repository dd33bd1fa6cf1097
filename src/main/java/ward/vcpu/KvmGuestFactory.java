package ward.vcpu;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.guest.GuestMemory;
import ward.guest.MemoryKind;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;

/**
 * Makes guests that KVM runs on this host.
 *
 * <p>Their memory has no pages yet, and making a guest touches none: the caller registers {@link
 * Guest#memory()} with userfaultfd before it resumes the guest.
 */
public final class KvmGuestFactory implements GuestFactory {

  private final Kernel kernel;
  private final MemoryKind kind;
  private final MemoryErrors errors;
  private final ReportListener reports;
  private final Console console;

  public KvmGuestFactory(Kernel kernel, MemoryErrors errors, ReportListener reports) {
    this(kernel, errors, reports, Console.unheard());
  }

  /**
   * @param console of guests that have a serial port
   */
  public KvmGuestFactory(
      Kernel kernel, MemoryErrors errors, ReportListener reports, Console console) {
    this(kernel, MemoryKind.ANONYMOUS, errors, reports, console);
  }

  private KvmGuestFactory(
      Kernel kernel,
      MemoryKind kind,
      MemoryErrors errors,
      ReportListener reports,
      Console console) {
    this.kernel = kernel;
    this.kind = kind;
    this.errors = errors;
    this.reports = reports;
    this.console = console;
  }

  /** The same, but the memory that is made for a guest is of another kind than anonymous. */
  public KvmGuestFactory withMemory(MemoryKind other) {
    return new KvmGuestFactory(kernel, other, errors, reports, console);
  }

  /**
   * {@inheritDoc}
   *
   * @param vcpuStates what {@link VcpuStates#toBytes()} wrote
   * @throws UnsupportedKvmException if this host's KVM lacks what Ward needs
   */
  @Override
  public Guest create(GuestLayout layout, byte[] vcpuStates) throws IOException {
    return create(() -> MappedMemory.of(kernel, layout, kind), vcpuStates);
  }

  /**
   * Makes a paused guest of memory that is there already: a source's, whose guest has run before.
   *
   * @param memory stays mapped, readable and writable, until the guest has been closed; whose it
   *     is, the caller's
   * @param vcpuStates as for {@link #create(GuestLayout, byte[])}
   * @throws IOException as {@link #create(GuestLayout, byte[])}
   */
  public Guest createOver(GuestMemory memory, byte[] vcpuStates) throws IOException {
    return create(() -> MappedMemory.borrow(memory), vcpuStates);
  }

  private interface MemorySource {
    MappedMemory map() throws IOException;
  }

  private Guest create(MemorySource memory, byte[] vcpuStates) throws IOException {
    if (vcpuStates.length == 0) {
      throw new IOException(
          "the source sent no vCPU states, so there is nothing to run: give `ward source"
              + " --vcpu-state`, or take the memory alone with `ward destination --vcpu thread`");
    }
    Architecture architecture = Architecture.ofThisHost();
    VcpuStates states = VcpuStates.parse(vcpuStates, architecture);
    try (Kvm kvm = Kvm.open(kernel)) {
      architecture.requireAbilities(kvm);
      return create(kvm, architecture, memory, states);
    }
  }

  private Guest create(Kvm kvm, Architecture architecture, MemorySource memory, VcpuStates states)
      throws IOException {
    MappedMemory mapped = memory.map();
    KvmVm vm = null;
    Machine machine = null;
    List<KvmVcpu> vcpus = new ArrayList<>();
    List<Processor> processors = new ArrayList<>();
    try {
      vm = kvm.createVm();
      machine = architecture.setUp(kvm, vm);
      vm.setMemory(mapped.memory());
      for (VcpuState state : states.vcpus()) {
        KvmVcpu vcpu = vm.createVcpu(state.index());
        vcpus.add(vcpu);
        processors.add(architecture.setUp(kvm, vm, vcpu, state));
      }
      machine.vcpusMade(vcpus.size());
      for (VcpuState state : states.vcpus()) {
        processors.get(state.index()).restore(state);
      }
      machine.restore(states.machine());
      DeviceBus devices = devices(architecture, vm, states);
      attachErrorSources(mapped.memory(), states, processors, devices);
      KvmGuest guest = new KvmGuest(mapped, vm, architecture, machine, devices, vcpus);
      guest.start(kernel, processors, states, errors);
      return guest;
    } catch (IOException | RuntimeException e) {
      release(mapped, vm, machine, vcpus);
      throw e;
    }
  }

  /** A guest has the devices whose state it brings. */
  private DeviceBus devices(Architecture architecture, KvmVm vm, VcpuStates states)
      throws IOException {
    DeviceBus devices = new DeviceBus(reports);
    MoveCounter moves = new MoveCounter(states.moves());
    devices.attachPorts(MoveCounter.PORT, moves);
    architecture.attachReports(devices, moves);
    byte[] serialPort = states.machine().get(SerialPort.SECTION);
    if (serialPort != null) {
      SerialPort port = architecture.attachSerialPort(vm, devices, console);
      port.restore(serialPort);
      devices.travelsWith(SerialPort.SECTION, port::state);
      console.attach(port);
    }
    return devices;
  }

  /** A guest whose firmware has error sources hears of its losses through them. */
  private void attachErrorSources(
      GuestMemory memory, VcpuStates states, List<Processor> processors, DeviceBus devices)
      throws IOException {
    byte[] written = states.machine().get(GhesLayout.SECTION);
    if (written != null) {
      GhesLayout layout = GhesLayout.parse(written, memory.layout());
      ErrorSources sources = ErrorSources.of(kernel, memory, layout);
      for (int vcpu = 0; vcpu < processors.size(); vcpu++) {
        processors.set(vcpu, new FirmwareFirstProcessor(vcpu, processors.get(vcpu), sources));
      }
      devices.travelsWith(GhesLayout.SECTION, layout::toBytes);
    }
  }

  private static void release(MappedMemory mapped, KvmVm vm, Machine machine, List<KvmVcpu> vcpus) {
    vcpus.forEach(KvmVcpu::close);
    if (machine != null) {
      machine.close();
    }
    if (vm != null) {
      vm.close();
    }
    mapped.close();
  }
}
