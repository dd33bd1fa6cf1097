package ward.testbed.lab;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.FileTime;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;
import java.util.regex.Pattern;

/**
 * What the lab fetched, kept between runs.
 *
 * <p>Names and versions are asked for again after a day: a mirror drops old kernels. When it cannot
 * be asked, what is here is used, and that is said.
 */
final class PackageCache implements AutoCloseable {

  private static final Duration FRESH = Duration.ofDays(1);
  private static final Duration KEPT = Duration.ofDays(30);

  /** The name of a set, and a sum of its packages' names. */
  private static final Pattern MADE = Pattern.compile(".*-[0-9a-f]{8}(\\.cpio)?");

  private final Path root;
  private final boolean refresh;
  private final Consumer<String> progress;
  private final FileChannel lock;

  /**
   * Waits until no other lab uses the cache.
   *
   * @param refresh asks the mirror again in any case
   */
  PackageCache(Path root, boolean refresh, Consumer<String> progress) throws IOException {
    this.root = root;
    this.refresh = refresh;
    this.progress = progress;
    Files.createDirectories(root.resolve("debs"));
    lock =
        FileChannel.open(root.resolve("lock"), StandardOpenOption.CREATE, StandardOpenOption.WRITE);
    lock.lock();
    prune();
  }

  /** Deletes trees, and what was made of them, that no run has used for long. */
  private void prune() throws IOException {
    List<Path> old = new ArrayList<>();
    try (DirectoryStream<Path> made = Files.newDirectoryStream(root, "*-????????{,.cpio}")) {
      for (Path file : made) {
        Instant used = Files.getLastModifiedTime(file).toInstant();
        if (MADE.matcher(file.getFileName().toString()).matches()
            && used.plus(KEPT).isBefore(Instant.now())) {
          old.add(file);
        }
      }
    }
    for (Path file : old) {
      DirectoryTree.delete(file);
    }
  }

  /** {@code $XDG_CACHE_HOME/ward/lab}, or below {@code ~/.cache}. */
  static Path defaultRoot() {
    String cache = System.getenv("XDG_CACHE_HOME");
    Path base =
        cache == null || cache.isEmpty()
            ? Path.of(System.getProperty("user.home"), ".cache")
            : Path.of(cache);
    return base.resolve("ward/lab");
  }

  /** For what is made out of packages. */
  Path file(String name) {
    return root.resolve(name);
  }

  /** The directory with all packages of the set in it. */
  Path unpacked(PackageSet set) throws IOException {
    Path names = root.resolve("resolved-" + set.label());
    if (!isFresh(names, set)) {
      resolve(names, set);
    }
    return unpack(set.label(), Files.readAllLines(names));
  }

  private boolean isFresh(Path names, PackageSet set) throws IOException {
    if (refresh || !Files.exists(names)) {
      return false;
    }
    Instant resolved = Files.getLastModifiedTime(names).toInstant();
    boolean changed =
        set.programs()
            && Files.getLastModifiedTime(InstalledPackages.STATUS).toInstant().isAfter(resolved);
    return !changed && resolved.plus(FRESH).isAfter(Instant.now());
  }

  private void resolve(Path names, PackageSet set) throws IOException {
    try {
      List<String> files = fetch(set);
      Files.write(names, files);
    } catch (LabUnavailableException e) {
      if (!Files.exists(names)) {
        throw e;
      }
      progress.accept(
          "the mirror cannot be asked, using the packages of %s: %s"
              .formatted(Files.getLastModifiedTime(names), e.getMessage()));
    }
  }

  private List<String> fetch(PackageSet set) throws IOException {
    progress.accept("asking the mirror for " + set.label());
    Path directory = Files.createDirectories(root.resolve("apt-" + set.label()));
    Path installed = directory.resolve("installed");
    Files.writeString(installed, set.programs() ? InstalledPackages.libraries() : "");
    DebianPackages packages =
        new DebianPackages(directory, set.architecture(), set.sources(), installed);
    packages.update();
    List<String> names = set.choice().names(packages);
    List<String> files = packages.files(names);
    packages.download(names, root.resolve("debs"));
    return files;
  }

  private Path unpack(String label, List<String> debs) throws IOException {
    Path directory = root.resolve("%s-%08x".formatted(label, String.join("\n", debs).hashCode()));
    if (Files.exists(directory)) {
      Files.setLastModifiedTime(directory, FileTime.from(Instant.now()));
      return directory;
    }
    progress.accept("unpacking %d packages of %s".formatted(debs.size(), label));
    Path unfinished = root.resolve("unpacking-" + label);
    DirectoryTree.delete(unfinished);
    Files.createDirectories(unfinished);
    for (String deb : debs) {
      Path file = root.resolve("debs").resolve(deb);
      HostProgram.run(root, command("dpkg-deb", "-x", file, unfinished));
    }
    return Files.move(unfinished, directory, StandardCopyOption.ATOMIC_MOVE);
  }

  private static List<String> command(String program, String option, Path... files) {
    List<String> command = new ArrayList<>(List.of(program, option));
    for (Path file : files) {
      command.add(file.toString());
    }
    return command;
  }

  @Override
  public void close() throws IOException {
    lock.close();
  }
}
