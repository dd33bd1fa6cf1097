package ward.testbed.lab;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Which kernel of a Debian suite, and what its packages are called. Debian's "cloud" kernels are
 * the small ones for virtual machines; that of bookworm has no CONFIG_MEMORY_FAILURE, its generic
 * one has.
 *
 * @param suite as {@code trixie-backports}
 * @param version what the version begins with, perhaps nothing: the newest is taken
 * @param isGeneric the kernel for every machine, not the cloud kernel
 */
record KernelChoice(String suite, String version, boolean isGeneric) {

  private static final String GENERIC = "/generic";

  /** A cloud kernel. */
  KernelChoice(String suite, String version) {
    this(suite, version, false);
  }

  /** Splits {@code SUITE}, {@code SUITE/VERSION}, and either with {@code /generic}. */
  static KernelChoice parse(String text) {
    boolean isGeneric = text.endsWith(GENERIC);
    String rest = isGeneric ? text.substring(0, text.length() - GENERIC.length()) : text;
    int slash = rest.indexOf('/');
    return slash < 0
        ? new KernelChoice(rest, "", isGeneric)
        : new KernelChoice(rest.substring(0, slash), rest.substring(slash + 1), isGeneric);
  }

  /** Names the choice on disk. */
  String label() {
    String label = version.isEmpty() ? suite : suite + "-" + version;
    return isGeneric ? label + "-generic" : label;
  }

  /** What a release's name ends with after the version. */
  private String flavour(String architecture) {
    return isGeneric ? architecture : "cloud-" + architecture;
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
                    "%s has no kernel linux-image-%s*-%s"
                        .formatted(suite, version, flavour(architecture))));
  }

  /**
   * Newer packaging has {@code vmlinuz} in linux-binary and modules in linux-modules, older has
   * both in linux-image.
   */
  Optional<List<String>> packages(List<String> names, String architecture) {
    Pattern kernel =
        Pattern.compile(
            "linux-(binary|image)-(%s[0-9][^-]*(-[0-9]+)?-%s)"
                .formatted(
                    version.isEmpty() ? "" : "(?=" + Pattern.quote(version) + ")",
                    flavour(architecture)));
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
