package ward.testbed.lab;

import java.io.IOException;
import java.net.URI;
import java.nio.file.FileSystem;
import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/**
 * Ward for another architecture: the jar of this machine with the native library of the other one
 * beside its own, and the guest programs that run there.
 *
 * @param guestPrograms a directory; they replace those among the test classes
 */
record WardBuild(Path jar, Path guestPrograms) {

  /** What the build of this machine made. */
  static WardBuild ofThisMachine() {
    return new WardBuild(LabFiles.jar(), LabFiles.testClasses().resolve("guest"));
  }

  /** Compiles it with Debian's cross compiler. */
  static WardBuild of(Architecture architecture, PackageCache cache, DebianMirror mirror)
      throws IOException {
    if (architecture == Architecture.ofThisMachine()) {
      return ofThisMachine();
    }
    Path output = LabFiles.crossBuild(architecture);
    CrossCompiler compiler = CrossCompiler.fetched(cache, mirror, architecture);
    compiler.make(LabFiles.nativeStubs(), output.resolve("native"));
    compiler.make(LabFiles.guestSources(), output.resolve("guest"));
    return new WardBuild(jarWith(output, architecture), output.resolve("guest"));
  }

  private static Path jarWith(Path output, Architecture architecture) throws IOException {
    Path jar = output.resolve("ward.jar");
    String library = "native/linux-%s/libward.so".formatted(architecture.machineName());
    Files.copy(LabFiles.jar(), jar, StandardCopyOption.REPLACE_EXISTING);
    try (FileSystem entries =
        FileSystems.newFileSystem(URI.create("jar:" + jar.toUri()), Map.of())) {
      Path entry = entries.getPath(library);
      Files.createDirectories(entry.getParent());
      Files.copy(output.resolve(library), entry, StandardCopyOption.REPLACE_EXISTING);
    }
    return jar;
  }

  /** The compiler, out of packages that were unpacked and not installed. */
  private record CrossCompiler(Path tree, String prefix) {

    static CrossCompiler fetched(PackageCache cache, DebianMirror mirror, Architecture architecture)
        throws IOException {
      String libraries = "libc6-dev-%s-cross".formatted(architecture.debianName());
      PackageSet set =
          PackageSet.programs(
              mirror,
              architecture.compilerPackage(),
              List.of(architecture.compilerPackage(), libraries));
      return new CrossCompiler(cache.unpacked(set), architecture.compilerPrefix());
    }

    void make(Path directory, Path output) throws IOException {
      Files.createDirectories(output);
      List<String> command =
          new ArrayList<>(
              List.of(
                  "env",
                  "LD_LIBRARY_PATH=" + UnpackedLibraries.path(tree),
                  "make",
                  "--no-print-directory",
                  "-C",
                  directory.toString(),
                  "OUT=" + output,
                  "CC=%s --sysroot=%s".formatted(program("gcc"), tree),
                  "OBJCOPY=" + program("objcopy")));
      try {
        HostProgram.run(directory, command);
      } catch (LabUnavailableException e) {
        // The packages are here: this is Ward's own fault, and not to be excused.
        throw new IOException("Ward does not build for the machine: " + e.getMessage(), e);
      }
    }

    private String program(String name) {
      return tree.resolve("usr/bin").resolve(prefix + name).toString();
    }
  }
}
