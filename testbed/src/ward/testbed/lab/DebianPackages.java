package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/** An apt of its own: its lists and state in a private directory, no right of root needed. */
final class DebianPackages {

  private final Path directory;
  private final String architecture;
  private final Path installed;

  /**
   * @param directory of this apt alone
   * @param sources lines of a sources.list
   * @param installed the dpkg status file that says what need not be fetched; may be empty
   */
  DebianPackages(Path directory, String architecture, List<String> sources, Path installed)
      throws IOException {
    this.directory = directory;
    this.architecture = architecture;
    this.installed = installed;
    for (String part : List.of("lists/partial", "cache/archives/partial", "state", "parts")) {
      Files.createDirectories(directory.resolve(part));
    }
    Files.write(directory.resolve("sources.list"), sources);
  }

  /** Fetches the lists anew. */
  void update() throws LabUnavailableException {
    // Without this, apt-get takes old lists for new ones when the mirror does not answer.
    apt(directory, "apt-get", "-q", "-o", "APT::Update::Error-Mode=any", "update");
  }

  /** Names of all packages that begin so. */
  List<String> names(String prefix) throws LabUnavailableException {
    return apt(directory, "apt-cache", "pkgnames", prefix).lines().sorted().toList();
  }

  /** These and whatever they depend on that this machine has not, recommendations left out. */
  List<String> closure(List<String> names) throws LabUnavailableException {
    List<String> arguments = new ArrayList<>(List.of("-s", "--no-install-recommends", "install"));
    arguments.addAll(names);
    return installations(apt(directory, "apt-get", arguments.toArray(String[]::new)));
  }

  /** The packages of the lines {@code Inst NAME (VERSION ...)} of a simulation. */
  static List<String> installations(String simulation) {
    return simulation
        .lines()
        .filter(line -> line.startsWith("Inst "))
        .map(line -> line.split(" ")[1])
        .toList();
  }

  /** The names of the files that {@link #download} makes, versions and all. */
  List<String> files(List<String> names) throws LabUnavailableException {
    List<String> arguments = new ArrayList<>(List.of("--print-uris", "download"));
    arguments.addAll(names);
    return fileNames(apt(directory, "apt-get", arguments.toArray(String[]::new)));
  }

  /** The second field of the lines {@code 'URI' FILE SIZE HASH}. */
  static List<String> fileNames(String uris) {
    return uris.lines()
        .filter(line -> line.startsWith("'"))
        .map(line -> line.split(" ")[1])
        .sorted()
        .toList();
  }

  /** Fetches what is not there yet; apt checks every file against the signed lists. */
  void download(List<String> names, Path into) throws LabUnavailableException {
    List<String> arguments = new ArrayList<>(List.of("-q", "download"));
    arguments.addAll(names);
    apt(into, "apt-get", arguments.toArray(String[]::new));
  }

  private String apt(Path workingDirectory, String program, String... arguments)
      throws LabUnavailableException {
    List<String> command = new ArrayList<>(List.of(program));
    for (String option :
        List.of(
            "APT::Architecture=" + architecture,
            "APT::Architectures::=" + architecture,
            "APT::Sandbox::User=root",
            "Acquire::Languages=none",
            "Acquire::Retries=3",
            "Debug::NoLocking=1",
            "Dir::Etc::SourceList=" + directory.resolve("sources.list"),
            "Dir::Etc::SourceParts=" + directory.resolve("parts"),
            "Dir::State=" + directory.resolve("state"),
            "Dir::State::Lists=" + directory.resolve("lists"),
            "Dir::State::Status=" + installed,
            "Dir::Cache=" + directory.resolve("cache"))) {
      command.add("-o");
      command.add(option);
    }
    command.addAll(List.of(arguments));
    return HostProgram.run(workingDirectory, command);
  }
}
