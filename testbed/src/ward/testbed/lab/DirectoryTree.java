package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.function.Predicate;
import java.util.stream.Stream;

/** Everything below a directory: questions about it, and its end. */
public final class DirectoryTree {

  private DirectoryTree() {}

  /** Everything below it, in one order on every machine; links are not followed. */
  static List<Path> entries(Path directory) throws IOException {
    try (Stream<Path> entries = Files.walk(directory)) {
      return entries.filter(entry -> !entry.equals(directory)).sorted().toList();
    }
  }

  /** The first regular file whose name fits. */
  static Optional<Path> find(Path directory, Predicate<String> name) throws IOException {
    return entries(directory).stream()
        .filter(entry -> Files.isRegularFile(entry, LinkOption.NOFOLLOW_LINKS))
        .filter(entry -> name.test(entry.getFileName().toString()))
        .findFirst();
  }

  /** With the directory; what others remove meanwhile is gone, too. */
  public static void delete(Path directory) throws IOException {
    if (!Files.exists(directory, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    try (Stream<Path> entries = Files.walk(directory)) {
      for (Path entry : entries.sorted(Comparator.reverseOrder()).toList()) {
        Files.deleteIfExists(entry);
      }
    }
  }
}
