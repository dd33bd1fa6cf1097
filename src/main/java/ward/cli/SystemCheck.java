package ward.cli;

import static ward.cli.HostFinding.ok;
import static ward.cli.HostFinding.warning;

import java.util.List;
import java.util.Optional;
import java.util.OptionalLong;

/** What can be read from files: the kernel, the JDK, memory, devices. */
record SystemCheck(HostFiles files) implements HostCheck {

  private static final String THP = "sys/kernel/mm/transparent_hugepage/enabled";
  private static final String RECOVERY = "proc/sys/vm/memory_failure_recovery";

  @Override
  public List<HostFinding> run() {
    return List.of(
        kernelRelease(),
        jdk(System.getProperty("os.arch")),
        node("/dev/userfaultfd", "Linux 6.1 has it; without it, CAP_SYS_PTRACE is needed"),
        node("/dev/kvm", "load kvm_intel or kvm_amd, or switch virtualization on in firmware"),
        memoryFailure(),
        hugePages(),
        transparentHugePages(),
        memory());
  }

  private HostFinding kernelRelease() {
    String release = files.text("proc/sys/kernel/osrelease").orElse("unknown");
    return isOlderThanPoison(release)
        ? warning("kernel", release, "Linux 6.6 has UFFDIO_POISON; see poison marker")
        : ok("kernel", release);
  }

  private static boolean isOlderThanPoison(String release) {
    String[] numbers = release.split("\\D+");
    if (numbers.length < 2 || numbers[0].isEmpty()) {
      return true;
    }
    int major = Integer.parseInt(numbers[0]);
    return major < 6 || major == 6 && Integer.parseInt(numbers[1]) < 6;
  }

  static HostFinding jdk(String architecture) {
    String text = "Java %s on %s".formatted(Runtime.version(), architecture);
    return List.of("amd64", "x86_64", "aarch64").contains(architecture)
        ? ok("JDK", text)
        : warning("JDK", text, "Ward is made for x86-64 and arm64");
  }

  // What counts is whether opening works; the kernel checks say so. This line is for finding out
  // why.
  private HostFinding node(String path, String remedy) {
    String name = path + " permissions";
    String inRoot = path.substring(1);
    Optional<String> permissions = files.permissions(inRoot);
    if (permissions.isEmpty()) {
      return warning(name, "not there", remedy);
    }
    return files.isReadableAndWritable(inRoot)
        ? ok(name, permissions.get())
        : warning(
            name,
            permissions.get() + ", not for this user",
            "give this user's group read and write access to " + path);
  }

  private HostFinding memoryFailure() {
    String name = "CONFIG_MEMORY_FAILURE";
    Optional<String> recovery = files.text(RECOVERY);
    if (recovery.isEmpty()) {
      return warning(
          name,
          "not in this kernel: it does not isolate pages that the hardware lost",
          "as a source on real hardware, run a kernel with CONFIG_MEMORY_FAILURE=y");
    }
    return recovery.get().equals("0")
        ? warning(
            name,
            "in this kernel, which panics on a lost page all the same",
            "sysctl vm.memory_failure_recovery=1")
        : ok(name, "in this kernel, which recovers from lost pages");
  }

  private HostFinding hugePages() {
    OptionalLong total = files.memoryInfo("HugePages_Total");
    OptionalLong free = files.memoryInfo("HugePages_Free");
    OptionalLong kib = files.memoryInfo("Hugepagesize");
    return total.isEmpty()
        ? ok("huge pages", "none in this kernel")
        : ok(
            "huge pages",
            "%d of %d KiB, %d free".formatted(total.getAsLong(), kib.orElse(0), free.orElse(0)));
  }

  private HostFinding transparentHugePages() {
    String setting = files.text(THP).orElse("");
    String chosen = setting.replaceAll(".*\\[(.*)].*", "$1");
    return ok("transparent huge pages", chosen.isEmpty() ? "none in this kernel" : chosen);
  }

  private HostFinding memory() {
    OptionalLong available = files.memoryInfo("MemAvailable");
    return available.isEmpty()
        ? warning("memory available", "unknown: no /proc/meminfo", "mount /proc")
        : ok("memory available", (available.getAsLong() >>> 10) + " MiB");
  }
}
