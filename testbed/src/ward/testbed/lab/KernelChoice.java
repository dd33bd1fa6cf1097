package ward.testbed.lab;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which kernel of a Debian suite, and what its packages are called. Debian's "cloud" kernels are
 * the small ones for virtual machines.
 *
 * @param suite as {@code trixie-backports}
 * @param version what the version begins with, perhaps nothing: the newest is taken
 */
record KernelChoice(String suite, String version) {

  /** Splits {@code SUITE} or {@code SUITE/VERSION}. */
  static KernelChoice parse(String text) {
    int slash = text.indexOf('/');
    return slash < 0
        ? new KernelChoice(text, "")
        : new KernelChoice(text.substring(0, slash), text.substring(slash + 1));
  }

  /** Names the choice on disk. */
  String label() {
    return version.isEmpty() ? suite : suite + "-" + version;
  }

  /** The packages with the kernel and its modules. */
  List<String> packages(DebianPackages available, String architecture)
      throws LabUnavailableException {
    List<String> names = new ArrayList<>();
    for (String prefix : List.of("linux-binary-", "linux-image-", "linux-modules-")) {
      names.addAll(available.names(prefix));
    }
    return packages(names, architecture)
        .orElseThrow(
            () ->
                new LabUnavailableException(
                    "%s has no kernel linux-image-%s*-cloud-%s"
                        .formatted(suite, version, architecture)));
  }

  /**
   * Newer packaging has {@code vmlinuz} in linux-binary and modules in linux-modules, older has
   * both in linux-image.
   */
  Optional<List<String>> packages(List<String> names, String architecture) {
    Pattern kernel =
        Pattern.compile(
            "linux-(binary|image)-(%s[0-9].*-cloud-%s)"
                .formatted(
                    version.isEmpty() ? "" : "(?=" + Pattern.quote(version) + ")", architecture));
    return names.stream()
        .map(kernel::matcher)
        .filter(Matcher::matches)
        .map(matcher -> matcher.group(2))
        .distinct()
        .filter(release -> !ofRelease(names, release).isEmpty())
        .max(Comparator.comparing(DebianVersion::new))
        .map(release -> ofRelease(names, release));
  }

  private static List<String> ofRelease(List<String> names, String release) {
    List<String> split = List.of("linux-binary-" + release, "linux-modules-" + release);
    if (names.containsAll(split)) {
      return split;
    }
    // A linux-image beside a linux-binary is empty.
    boolean whole =
        names.contains("linux-image-" + release) && !names.contains("linux-binary-" + release);
    return whole ? List.of("linux-image-" + release) : List.of();
  }
}
