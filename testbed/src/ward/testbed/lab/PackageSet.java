package ward.testbed.lab;

import java.nio.file.Path;
import java.util.List;

/**
 * Packages that are unpacked into one directory.
 *
 * @param label names the set on disk
 * @param architecture Debian's name of it
 * @param sources lines of a sources.list
 * @param programs whether it runs on this machine, so that what is installed here is not fetched
 * @param choice which packages; asked when the lists are fresh
 */
record PackageSet(
    String label, String architecture, List<String> sources, boolean programs, Choice choice) {

  /** Chooses among what there is. */
  interface Choice {
    List<String> names(DebianPackages packages) throws LabUnavailableException;
  }

  /** Programs for this machine, with every library that it has not. */
  static PackageSet programs(DebianMirror mirror, String label, List<String> names)
      throws LabUnavailableException {
    String own = HostProgram.run(Path.of("/"), List.of("dpkg", "--print-architecture")).strip();
    return new PackageSet(label, own, mirror.own(own), true, packages -> packages.closure(names));
  }

  /** These packages and no others. */
  static PackageSet exactly(
      DebianMirror mirror, String label, String architecture, String suite, List<String> names) {
    return chosen(mirror, label, architecture, suite, packages -> names);
  }

  static PackageSet chosen(
      DebianMirror mirror, String label, String architecture, String suite, Choice choice) {
    return new PackageSet(
        label, architecture, List.of(mirror.suite(architecture, suite)), false, choice);
  }
}
