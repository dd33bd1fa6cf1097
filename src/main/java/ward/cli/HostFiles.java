package ward.cli;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFileAttributes;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.OptionalLong;

/**
 * What the kernel says of itself in {@code /proc}, {@code /sys} and {@code /dev}.
 *
 * @param root {@code /}, or what a test puts in its place
 */
record HostFiles(Path root) {

  static HostFiles ofThisHost() {
    return new HostFiles(Path.of("/"));
  }

  /** A file's text without the line's end; empty if it is not there or not readable. */
  Optional<String> text(String path) {
    try {
      return Optional.of(Files.readString(at(path)).strip());
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  /** A value of {@code /proc/meminfo}: kibibytes or a count. */
  OptionalLong memoryInfo(String key) {
    return text("proc/meminfo").stream()
        .flatMap(String::lines)
        .filter(line -> line.startsWith(key + ":"))
        .mapToLong(line -> Long.parseLong(line.replaceAll("\\D+", "")))
        .findFirst();
  }

  boolean exists(String path) {
    return Files.exists(at(path));
  }

  /** {@code rw-rw---- root:kvm}; empty if it is not there. */
  Optional<String> permissions(String path) {
    try {
      PosixFileAttributes file = Files.readAttributes(at(path), PosixFileAttributes.class);
      return Optional.of(
          "%s %s:%s"
              .formatted(
                  PosixFilePermissions.toString(file.permissions()),
                  file.owner().getName(),
                  file.group().getName()));
    } catch (IOException e) {
      return Optional.empty();
    }
  }

  boolean isReadableAndWritable(String path) {
    return Files.isReadable(at(path)) && Files.isWritable(at(path));
  }

  private Path at(String path) {
    return root.resolve(path);
  }
}
