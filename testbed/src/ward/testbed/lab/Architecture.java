package ward.testbed.lab;

import java.util.List;

/** A kind of emulated machine, and what it is called by those who name such kinds. */
enum Architecture {
  X86(
      "amd64",
      "x86_64",
      "qemu-system-x86",
      List.of("-accel", "tcg,thread=multi", "-M", "q35"),
      // QEMU 7.2 emulates cmpxchg16b wrongly now and then, and the kernel's allocator uses it.
      "EPYC-v1,-cx16",
      // The test of the timer's interrupt fails when this machine has no time for it to come in.
      "console=ttyS0 no_timer_check",
      // With more than one, QEMU's processors now and then run code that Linux has just changed
      // under
      // them (breakpoints of text_poke), and the kernel panics.
      1,
      List.of("kvm-amd")),
  ARM64(
      "arm64",
      "aarch64",
      "qemu-system-arm",
      List.of("-M", "virt,virtualization=on,gic-version=3"),
      "neoverse-n1",
      "console=ttyAMA0",
      2,
      List.of());

  private final String debianName;
  private final String machineName;
  private final String emulatorPackage;
  private final List<String> machineOptions;
  private final String defaultCpu;
  private final String kernelOptions;
  private final int defaultProcessors;
  private final List<String> kvmModules;

  Architecture(
      String debianName,
      String machineName,
      String emulatorPackage,
      List<String> machineOptions,
      String defaultCpu,
      String kernelOptions,
      int defaultProcessors,
      List<String> kvmModules) {
    this.debianName = debianName;
    this.machineName = machineName;
    this.emulatorPackage = emulatorPackage;
    this.machineOptions = machineOptions;
    this.defaultCpu = defaultCpu;
    this.kernelOptions = kernelOptions;
    this.defaultProcessors = defaultProcessors;
    this.kvmModules = kvmModules;
  }

  /** As in the names of Debian's packages. */
  String debianName() {
    return debianName;
  }

  /** As {@code uname -m} says it. */
  String machineName() {
    return machineName;
  }

  String emulator() {
    return "qemu-system-" + machineName;
  }

  String emulatorPackage() {
    return emulatorPackage;
  }

  List<String> machineOptions() {
    return machineOptions;
  }

  String defaultCpu() {
    return defaultCpu;
  }

  /** For the kernel's command line. */
  String kernelOptions() {
    return kernelOptions;
  }

  /** With how many a run from beginning to end can be relied on. */
  int defaultProcessors() {
    return defaultProcessors;
  }

  /** What has to be loaded before there is a {@code /dev/kvm}; what these need is found out. */
  List<String> kvmModules() {
    return kvmModules;
  }

  /** The architecture of this machine. */
  static Architecture ofThisMachine() {
    return System.getProperty("os.arch").equals("aarch64") ? ARM64 : X86;
  }

  /** Debian's package of a compiler for it. */
  String compilerPackage() {
    return "gcc-%s-linux-gnu".formatted(machineName.replace('_', '-'));
  }

  /** What every program of that compiler is called first. */
  String compilerPrefix() {
    return machineName + "-linux-gnu-";
  }

  /** Where Debian puts the Java runtime that the lab uses. */
  String javaHome() {
    return "/usr/lib/jvm/java-17-openjdk-" + debianName;
  }
}
