package ward.testbed.lab;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** One run of the lab: fetches, builds, boots, and reads the result. */
final class LabRun {

  /** The machine ended without a result, or the kernel panicked. */
  static final int MACHINE_LOST = 125;

  /** As timeout(1) has it. */
  static final int DEADLINE_PASSED = 124;

  private final LabSettings settings;
  private final Consumer<String> progress;
  private final Consumer<String> console;

  /**
   * @param progress hears what is being done
   * @param console hears every line of the machine
   */
  LabRun(LabSettings settings, Consumer<String> progress, Consumer<String> console) {
    this.settings = settings;
    this.progress = progress;
    this.console = console;
  }

  /** What a machine is started from. */
  private record Boot(Emulator emulator, Path kernel, Path initramfs) {}

  /** Runs it; the console is kept in the directory. */
  LabResult run(Path directory) throws IOException {
    Files.createDirectories(directory);
    Boot boot = prepare(directory);
    try {
      return boot(boot, directory.resolve("console.log"));
    } finally {
      Files.deleteIfExists(boot.initramfs());
    }
  }

  private Boot prepare(Path directory) throws IOException {
    Architecture architecture = settings.architecture();
    try (PackageCache cache = new PackageCache(settings.cache(), settings.refresh(), progress)) {
      DebianMirror mirror = DebianMirror.ofThisMachine();
      Emulator emulator = Emulator.fetched(cache, mirror, architecture);
      KernelFiles kernel = kernel(cache, mirror);
      Path userland = Userland.archive(cache, mirror, architecture);
      Path initramfs = directory.resolve("initramfs");
      try (OutputStream output = new BufferedOutputStream(Files.newOutputStream(initramfs))) {
        Files.copy(userland, output);
        payload(kernel, WardBuild.of(architecture, cache, mirror)).writeTo(output);
      }
      return new Boot(emulator, kernel.image(), initramfs);
    }
  }

  private KernelFiles kernel(PackageCache cache, DebianMirror mirror) throws IOException {
    String architecture = settings.architecture().debianName();
    KernelChoice choice = settings.kernel();
    PackageSet set =
        PackageSet.chosen(
            mirror,
            "kernel-%s-%s".formatted(architecture, choice.label()),
            architecture,
            choice.suite(),
            packages -> choice.packages(packages, architecture));
    return new KernelFiles(cache.unpacked(set));
  }

  private Payload payload(KernelFiles kernel, WardBuild ward) throws IOException {
    return new Payload(
        ward,
        LabFiles.testClasses(),
        LabFiles.testLibraries(),
        kernel.modules(settings.architecture().kvmModules()),
        InsideScript.of(settings.architecture(), settings.steps()));
  }

  private LabResult boot(Boot boot, Path log) throws IOException {
    progress.accept("booting; the console is kept in " + log);
    long start = System.nanoTime();
    try (Machine machine = Machine.start(boot.emulator().with(options(boot)), log, console)) {
      Machine.End end = machine.await(settings.deadline());
      return result(end, machine.console(), (System.nanoTime() - start) / 1e9);
    }
  }

  private List<String> options(Boot boot) {
    Architecture architecture = settings.architecture();
    return new ArrayList<>(
        List.of(
            "-cpu",
            settings.cpu(),
            "-m",
            Integer.toString(settings.memoryMebibytes()),
            "-smp",
            Integer.toString(settings.processors()),
            "-nodefaults",
            "-nographic",
            "-no-reboot",
            "-serial",
            "stdio",
            "-kernel",
            boot.kernel().toString(),
            "-initrd",
            boot.initramfs().toString(),
            "-append",
            "console=%s rdinit=/init panic=-1 quiet".formatted(architecture.console())));
  }

  private LabResult result(Machine.End end, Console said, double wallSeconds) throws IOException {
    if (end != Machine.End.POWERED_OFF) {
      progress.accept("%s; the console's last lines:%n%s".formatted(end, said.tail()));
    }
    return new LabResult(
        settings.architecture().machineName(),
        settings.kernel().label(),
        said.kernel().orElse(""),
        settings.cpu(),
        said.upSeconds(),
        wallSeconds,
        end,
        exitCode(end, said),
        new ObjectMapper().readTree(said.result()));
  }

  private static int exitCode(Machine.End end, Console said) {
    return switch (end) {
      case POWERED_OFF -> said.exitCode().orElse(MACHINE_LOST);
      case DEADLINE -> DEADLINE_PASSED;
      case PANICKED, DIED -> MACHINE_LOST;
    };
  }
}
