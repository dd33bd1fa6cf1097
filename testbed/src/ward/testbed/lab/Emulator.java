package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** QEMU, out of packages that were unpacked and not installed. */
final class Emulator {

  private final Path tree;
  private final Architecture architecture;

  Emulator(Path tree, Architecture architecture) {
    this.tree = tree;
    this.architecture = architecture;
  }

  static Emulator fetched(PackageCache cache, DebianMirror mirror, Architecture architecture)
      throws IOException {
    String name = architecture.emulatorPackage();
    return new Emulator(
        cache.unpacked(PackageSet.programs(mirror, name, List.of(name))), architecture);
  }

  /** A process that starts it with these options; what they leave open is left as it is. */
  ProcessBuilder with(List<String> options) throws IOException {
    List<String> command = new ArrayList<>();
    command.add(tree.resolve("usr/bin").resolve(architecture.emulator()).toString());
    for (String firmware : List.of("qemu", "seabios", "../lib/ipxe/qemu")) {
      command.addAll(List.of("-L", tree.resolve("usr/share").resolve(firmware).toString()));
    }
    command.addAll(architecture.machineOptions());
    command.addAll(options);
    ProcessBuilder builder = new ProcessBuilder(command);
    builder.environment().put("LD_LIBRARY_PATH", UnpackedLibraries.path(tree));
    DirectoryTree.find(tree, name -> name.startsWith("accel-tcg-"))
        .ifPresent(
            module -> builder.environment().put("QEMU_MODULE_DIR", module.getParent().toString()));
    return builder;
  }
}
