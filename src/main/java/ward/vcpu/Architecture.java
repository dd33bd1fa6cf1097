package ward.vcpu;

import java.io.IOException;

/** What KVM does differently from one kind of processor to the next. */
interface Architecture {

  /**
   * The architecture that this JVM runs on, which is the only one that its KVM can run.
   *
   * @throws UnsupportedKvmException naming the processor, if Ward does not know it
   */
  static Architecture ofThisHost() throws UnsupportedKvmException {
    return of(System.getProperty("os.arch"));
  }

  /**
   * @param jvmName {@code os.arch}
   */
  static Architecture of(String jvmName) throws UnsupportedKvmException {
    return switch (jvmName) {
      case "amd64", "x86_64" -> new X86();
      case "aarch64" -> new Arm64();
      default ->
          throw new UnsupportedKvmException(
              "Ward runs guests on x86-64 and arm64 only; this is \"%s\": take the memory alone, with"
                      .formatted(jvmName)
                  + " `ward destination --vcpu thread`");
    };
  }

  /** As {@code uname -m} says it. */
  String name();

  /** Whether its processors have SErrors. */
  default boolean hasSErrors() {
    return false;
  }

  /** The sections of a vCPU's state. */
  StateFormat vcpuFormat();

  /** The sections of what belongs to no vCPU: interrupt controllers, clocks. */
  StateFormat machineFormat();

  /**
   * Makes sure that this host's KVM can do what Ward needs of this architecture.
   *
   * @throws UnsupportedKvmException naming what is missing
   */
  void requireAbilities(Kvm kvm) throws IOException;

  /** Gives a VM that has no vCPU yet what its vCPUs need around them. */
  Machine setUp(Kvm kvm, KvmVm vm) throws IOException;

  /** Gives a guest a serial port, where one of this architecture looks for it first. */
  SerialPort attachSerialPort(KvmVm vm, DeviceBus devices, Console console);

  /** Gives a guest that knows no I/O ports another way to the registers of {@link DeviceBus}. */
  default void attachReports(DeviceBus devices, MoveCounter moves) {}

  /**
   * Makes a vCPU as a guest finds it after power-on, of the kind that a state was taken of; the
   * state itself is restored afterwards.
   *
   * @throws IOException naming what the guest has seen of its processor and this host cannot offer
   */
  Processor setUp(Kvm kvm, KvmVm vm, KvmVcpu vcpu, VcpuState state) throws IOException;
}
