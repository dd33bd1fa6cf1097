package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/**
 * Where this machine's apt gets Debian from.
 *
 * @param release this machine's own, as {@code bookworm}
 * @param sources the lines {@code URI RELEASE COMPONENT} of that release
 */
record DebianMirror(String release, List<String> sources) {

  private static final Path KEYS = Path.of("/usr/share/keyrings/debian-archive-keyring.gpg");

  /**
   * Asks apt, which knows only once it has fetched its lists. Where this machine never has, they
   * are fetched into the directory.
   */
  static DebianMirror ofThisMachine(Path directory) throws IOException {
    String targets = indexTargets(List.of());
    if (targets.isBlank()) {
      Files.createDirectories(directory.resolve("lists/partial"));
      Files.createDirectories(directory.resolve("cache/archives/partial"));
      List<String> elsewhere =
          List.of(
              "-o",
              "Dir::State::Lists=" + directory.resolve("lists"),
              "-o",
              "Dir::Cache=" + directory.resolve("cache"));
      fetchLists(elsewhere);
      targets = indexTargets(elsewhere);
    }
    return of(targets, Files.readString(Path.of("/etc/os-release")));
  }

  private static void fetchLists(List<String> elsewhere) throws IOException {
    List<String> command =
        new ArrayList<>(
            List.of("apt-get", "-q", "-o", "Debug::NoLocking=1", "-o", "APT::Sandbox::User=root"));
    command.addAll(elsewhere);
    command.add("update");
    HostProgram.run(Path.of("/"), command);
  }

  private static String indexTargets(List<String> options) throws IOException {
    List<String> command = new ArrayList<>(List.of("apt-get"));
    command.addAll(options);
    command.addAll(List.of("indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)"));
    return HostProgram.run(Path.of("/"), command);
  }

  static DebianMirror of(String indexTargets, String osRelease) throws LabUnavailableException {
    String release =
        osRelease
            .lines()
            .filter(line -> line.startsWith("VERSION_CODENAME="))
            .map(line -> line.substring(line.indexOf('=') + 1).replace("\"", ""))
            .findFirst()
            .orElseThrow(
                () -> new LabUnavailableException("/etc/os-release names no VERSION_CODENAME"));
    Set<String> sources = new LinkedHashSet<>();
    indexTargets.lines().filter(line -> isOf(release, line)).forEach(sources::add);
    if (sources.stream().noneMatch(line -> line.split(" ")[1].equals(release))) {
      throw new LabUnavailableException(
          "this machine's apt knows no source of Debian %s: `apt-get indextargets` names none. Add"
              + " one, or see why `apt-get update` fails".formatted(release));
    }
    return new DebianMirror(release, List.copyOf(sources));
  }

  private static boolean isOf(String release, String target) {
    String[] fields = target.split(" ");
    return fields.length == 3
        && fields[2].equals("main")
        && (fields[1].equals(release) || fields[1].startsWith(release + "-"))
        && !fields[1].endsWith("-backports");
  }

  /** The lines of a sources.list for this machine's own release, with its updates. */
  List<String> own(String architecture) {
    List<String> lines = new ArrayList<>();
    for (String source : sources) {
      String[] fields = source.split(" ");
      lines.add(line(architecture, fields[0], fields[1]));
    }
    return lines;
  }

  /** The line of a sources.list for another suite on the same mirror. */
  String suite(String architecture, String suite) {
    String uri =
        sources.stream()
            .map(line -> line.split(" "))
            .filter(fields -> fields[1].equals(release))
            .findFirst()
            .orElseThrow()[0];
    return line(architecture, uri, suite);
  }

  private static String line(String architecture, String uri, String suite) {
    String signedBy = Files.exists(KEYS) ? " signed-by=" + KEYS : "";
    return "deb [arch=%s%s] %s %s main".formatted(architecture, signedBy, uri, suite);
  }
}
