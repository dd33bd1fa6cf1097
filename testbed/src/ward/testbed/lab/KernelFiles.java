package ward.testbed.lab;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/** A kernel and its modules, unpacked. */
final class KernelFiles {

  private static final byte[] DEPENDS = "\0depends=".getBytes(StandardCharsets.US_ASCII);

  private final Path directory;

  KernelFiles(Path directory) {
    this.directory = directory;
  }

  static KernelFiles fetched(
      PackageCache cache, DebianMirror mirror, KernelChoice choice, Architecture architecture)
      throws IOException {
    String name = architecture.debianName();
    PackageSet set =
        PackageSet.chosen(
            mirror,
            "kernel-%s-%s".formatted(name, choice.label()),
            name,
            choice.suite(),
            packages -> choice.packages(packages, name));
    return new KernelFiles(cache.unpacked(set));
  }

  Path image() throws IOException {
    return DirectoryTree.find(directory, name -> name.startsWith("vmlinuz"))
        .orElseThrow(() -> new LabUnavailableException("no vmlinuz in the kernel's packages"));
  }

  /**
   * Modules in the order in which to load them, whatever they depend on first. What is no module of
   * this kernel is taken to be built in.
   *
   * @return the modules' content by name
   */
  Map<String, byte[]> modules(List<String> names) throws IOException {
    Map<String, byte[]> modules = new LinkedHashMap<>();
    for (String name : names) {
      add(name, modules);
    }
    return modules;
  }

  private void add(String name, Map<String, byte[]> modules) throws IOException {
    Optional<Path> file = file(name);
    if (modules.containsKey(name) || file.isEmpty()) {
      return;
    }
    byte[] content = content(file.get());
    for (String needed : dependencies(content)) {
      add(needed, modules);
    }
    modules.put(name, content);
  }

  /** Kernel and file system differ about dashes. */
  private Optional<Path> file(String name) throws IOException {
    String wanted = name.replace('_', '-');
    return DirectoryTree.find(
        directory,
        file ->
            file.replaceFirst("\\.ko(\\.xz)?$", "").replace('_', '-').equals(wanted)
                && file.contains(".ko"));
  }

  private static byte[] content(Path module) throws IOException {
    return module.toString().endsWith(".xz")
        ? HostProgram.bytes(Path.of("/"), List.of("xz", "-dc", module.toString()))
        : Files.readAllBytes(module);
  }

  /** What the module says of itself in its section .modinfo. */
  static List<String> dependencies(byte[] module) {
    int start = indexOf(module, DEPENDS);
    if (start < 0) {
      return List.of();
    }
    int end = start;
    while (end < module.length && module[end] != 0) {
      end++;
    }
    List<String> names = new ArrayList<>();
    for (String name :
        new String(module, start, end - start, StandardCharsets.US_ASCII).split(",")) {
      if (!name.isEmpty()) {
        names.add(name);
      }
    }
    return names;
  }

  /** Where what follows the pattern begins; -1 without the pattern. */
  private static int indexOf(byte[] content, byte[] pattern) {
    for (int i = 0; i + pattern.length <= content.length; i++) {
      if (java.util.Arrays.equals(content, i, i + pattern.length, pattern, 0, pattern.length)) {
        return i + pattern.length;
      }
    }
    return -1;
  }
}
