package ward.testbed.lab;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.util.List;

/** The compiled tests below a directory. */
final class TestClasses {

  private static final String SUFFIX = ".class";

  private final List<String> names;

  TestClasses(Path directory) {
    try {
      names =
          DirectoryTree.entries(directory).stream()
              .map(file -> directory.relativize(file).toString())
              .filter(file -> file.endsWith(SUFFIX) && !file.contains("$"))
              .map(file -> file.substring(0, file.length() - SUFFIX.length()).replace('/', '.'))
              .toList();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot list the compiled tests", e);
    }
  }

  /**
   * Full names for full or simple ones; what follows a {@code #} is kept.
   *
   * @throws IllegalArgumentException if there is no such class, or more than one
   */
  List<String> named(List<String> wanted) {
    return wanted.stream().map(this::named).toList();
  }

  private String named(String wanted) {
    String[] parts = wanted.split("#", 2);
    List<String> found =
        names.stream()
            .filter(name -> name.equals(parts[0]) || name.endsWith("." + parts[0]))
            .toList();
    if (found.size() != 1) {
      throw new IllegalArgumentException(
          "--test %s names %d test classes: %s".formatted(wanted, found.size(), found));
    }
    return found.get(0) + (parts.length == 2 ? "#" + parts[1] : "");
  }

  /** The tests of a real userfaultfd or KVM. */
  List<String> needingAKernel() {
    return names.stream()
        .filter(name -> name.endsWith("KernelTest") || name.endsWith("KvmTest"))
        .toList();
  }
}
