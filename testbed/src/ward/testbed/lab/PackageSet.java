package ward.testbed.lab;

import java.nio.file.Path;
import java.util.List;

/**
 * Packages that are unpacked into one directory.
 *
 * @param label names the set on disk
 * @param architecture Debian's name of it
 * @param sources lines of a sources.list
 * @param installed the dpkg status file that dependencies are counted against; null for none
 * @param choice which packages; asked when the lists are fresh
 */
record PackageSet(
    String label, String architecture, List<String> sources, Path installed, Choice choice) {

  private static final Path THIS_MACHINE = Path.of("/var/lib/dpkg/status");

  /** Chooses among what there is. */
  interface Choice {
    List<String> names(DebianPackages packages) throws LabUnavailableException;
  }

  /** Programs for this machine, with every library that it has not. */
  static PackageSet programs(DebianMirror mirror, String label, List<String> names)
      throws LabUnavailableException {
    String own = HostProgram.run(Path.of("/"), List.of("dpkg", "--print-architecture")).strip();
    return new PackageSet(
        label, own, mirror.own(own), THIS_MACHINE, packages -> packages.closure(names));
  }

  /** These packages and no others. */
  static PackageSet exactly(
      DebianMirror mirror, String label, String architecture, String suite, List<String> names) {
    return chosen(mirror, label, architecture, suite, packages -> names);
  }

  static PackageSet chosen(
      DebianMirror mirror, String label, String architecture, String suite, Choice choice) {
    return new PackageSet(
        label, architecture, List.of(mirror.suite(architecture, suite)), null, choice);
  }

  boolean dependsOnThisMachine() {
    return installed != null;
  }
}
