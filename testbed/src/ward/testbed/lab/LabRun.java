package ward.testbed.lab;

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

  /** Runs it; the consoles are kept in the directory. One result for each host. */
  List<LabResult> run(Path directory) throws IOException {
    Files.createDirectories(directory);
    MachineRun.Boot boot = prepare(directory);
    progress.accept("booting; the console is kept in " + directory);
    try {
      return settings.hosts() == 1 ? List.of(alone(boot, directory)) : together(boot, directory);
    } finally {
      Files.deleteIfExists(boot.initramfs());
    }
  }

  private LabResult alone(MachineRun.Boot boot, Path directory) throws IOException {
    Path log = directory.resolve("console.log");
    try (MachineRun machine =
        new MachineRun(settings, boot, 0, List.of(), log, progress, console)) {
      return machine.await();
    }
  }

  private List<LabResult> together(MachineRun.Boot boot, Path directory) throws IOException {
    try (LabNetwork network = LabNetwork.create();
        MachineRun first = host(1, network, boot, directory)) {
      network.awaitHost1();
      try (MachineRun second = host(2, network, boot, directory)) {
        return MachineRun.awaitAll(List.of(first, second));
      }
    }
  }

  private MachineRun host(int host, LabNetwork network, MachineRun.Boot boot, Path directory)
      throws IOException {
    return new MachineRun(
        settings,
        boot,
        host,
        network.options(host),
        directory.resolve("console-%d.log".formatted(host)),
        progress,
        line -> console.accept("host %d: %s".formatted(host, line)));
  }

  /** Only fetches the kernel. */
  Path kernelImage() throws IOException {
    try (PackageCache cache = new PackageCache(settings.cache(), settings.refresh(), progress)) {
      return kernel(cache, mirror(cache)).image();
    }
  }

  private MachineRun.Boot prepare(Path directory) throws IOException {
    Architecture architecture = settings.architecture();
    try (PackageCache cache = new PackageCache(settings.cache(), settings.refresh(), progress)) {
      DebianMirror mirror = mirror(cache);
      Emulator emulator = Emulator.fetched(cache, mirror, architecture);
      KernelFiles kernel = kernel(cache, mirror);
      Path userland = Userland.archive(cache, mirror, architecture);
      Path initramfs = directory.resolve("initramfs");
      initramfs.toFile().deleteOnExit();
      try (OutputStream output = new BufferedOutputStream(Files.newOutputStream(initramfs))) {
        Files.copy(userland, output);
        payload(kernel, WardBuild.of(architecture, cache, mirror)).writeTo(output);
      }
      return new MachineRun.Boot(emulator, kernel.image(), initramfs);
    }
  }

  private static DebianMirror mirror(PackageCache cache) throws IOException {
    return DebianMirror.ofThisMachine(cache.file("apt-sources"));
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

  private List<String> modules() {
    List<String> modules = new ArrayList<>(settings.architecture().kvmModules());
    if (settings.hosts() > 1) {
      modules.addAll(LabNetwork.MODULES);
    }
    return modules;
  }

  private Payload payload(KernelFiles kernel, WardBuild ward) throws IOException {
    return new Payload(
        ward,
        LabFiles.testClasses(),
        LabFiles.testLibraries(),
        kernel.image(),
        kernel.modules(modules()),
        InsideScript.of(settings.architecture(), settings.steps()));
  }
}
