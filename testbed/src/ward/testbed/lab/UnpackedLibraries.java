package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.stream.Collectors;

/** Shared libraries of packages that were unpacked and not installed. */
final class UnpackedLibraries {

  private UnpackedLibraries() {}

  /** An {@code LD_LIBRARY_PATH} with every directory that holds some. */
  static String path(Path tree) throws IOException {
    List<Path> entries = new ArrayList<>();
    for (String directory : List.of("lib", "usr/lib")) {
      if (Files.exists(tree.resolve(directory))) {
        entries.addAll(DirectoryTree.entries(tree.resolve(directory)));
      }
    }
    return entries.stream()
        .filter(entry -> entry.getFileName().toString().matches("lib.*\\.so\\.[0-9.]+"))
        .map(Path::getParent)
        .distinct()
        .map(Path::toString)
        .collect(Collectors.joining(":"));
  }
}
