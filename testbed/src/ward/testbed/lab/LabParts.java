package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.function.Consumer;

/**
 * What the lab fetches and builds for arm64, for those who start a machine of their own with it.
 *
 * @param kernelImage of Debian's kernel, uncompressed
 * @param guestPrograms a directory with what testbed/guest makes for arm64
 */
public record LabParts(Path kernelImage, Path guestPrograms, Machines machines) {

  /** Starts QEMU. */
  public interface Machines {

    /**
     * A process that starts it with these options. Its machine is {@code virt} already, with
     * settings that later options may change.
     */
    ProcessBuilder with(List<String> options) throws IOException;
  }

  /**
   * Fetches what is not here yet. Needs the build's jar.
   *
   * @param suite of Debian, for the kernel
   * @param progress hears what is being done
   * @throws LabUnavailableException if the packages cannot be had
   */
  public static LabParts ofArm64(String suite, Consumer<String> progress) throws IOException {
    Architecture architecture = Architecture.ARM64;
    try (PackageCache cache = new PackageCache(PackageCache.defaultRoot(), false, progress)) {
      DebianMirror mirror = DebianMirror.ofThisMachine(cache.file("apt-sources"));
      Emulator emulator = Emulator.fetched(cache, mirror, architecture);
      KernelChoice choice = KernelChoice.parse(suite);
      PackageSet kernel =
          PackageSet.chosen(
              mirror,
              "kernel-%s-%s".formatted(architecture.debianName(), choice.label()),
              architecture.debianName(),
              choice.suite(),
              packages -> choice.packages(packages, architecture.debianName()));
      return new LabParts(
          new KernelFiles(cache.unpacked(kernel)).image(),
          WardBuild.of(architecture, cache, mirror).guestPrograms(),
          emulator::with);
    }
  }
}
