package ward.testbed.lab;

import java.io.BufferedOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/** One run of the lab: fetches, builds, boots, and reads the result. */
final class LabRun {

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

  /** Runs it; the console is kept in the directory. */
  LabResult run(Path directory) throws IOException {
    Files.createDirectories(directory);
    MachineRun.Boot boot = prepare(directory);
    try {
      return boot(boot, directory.resolve("console.log"));
    } finally {
      Files.deleteIfExists(boot.initramfs());
    }
  }

  private MachineRun.Boot prepare(Path directory) throws IOException {
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
      return new MachineRun.Boot(emulator, kernel.image(), initramfs, List.of());
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

  private LabResult boot(MachineRun.Boot boot, Path log) throws IOException {
    progress.accept("booting; the console is kept in " + log);
    try (MachineRun machine = new MachineRun(settings, boot, log, progress, console)) {
      return machine.await();
    }
  }
}
