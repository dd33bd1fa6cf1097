package ward.testbed.lab;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;

/**
 * The part of the initramfs that a run brings: Ward, its tests, the kernel's modules and what to
 * do.
 *
 * @param ward for the machine's architecture
 * @param testClasses a directory
 * @param testLibraries jars
 * @param kernel the one the machine runs, for a guest in it
 * @param modules content by name, in the order in which to load them
 * @param script what {@code /init} runs once the machine is up
 */
record Payload(
    WardBuild ward,
    Path testClasses,
    List<Path> testLibraries,
    Path kernel,
    Map<String, byte[]> modules,
    String script) {

  /** Where the class path of the script has to point. */
  static final String CLASS_PATH = "/ward/ward.jar:/ward/test-classes:/ward/lib/*";

  void writeTo(OutputStream output) throws IOException {
    try (NewcArchive archive = new NewcArchive(output)) {
      for (String directory : List.of("ward", "ward/lib", "modules")) {
        archive.directory(directory);
      }
      archive.program("init", Files.readAllBytes(LabFiles.script("init")));
      archive.file("ward/run", script.getBytes(StandardCharsets.UTF_8));
      archive.copy("ward/ward.jar", ward.jar());
      archive.program("ward/ward", Files.readAllBytes(LabFiles.launcher()));
      for (Path library : testLibraries) {
        archive.copy("ward/lib/" + library.getFileName(), library);
      }
      archive.copy("ward/vmlinuz", kernel);
      writeModules(archive);
      writeTestClasses(archive);
    }
  }

  private void writeModules(NewcArchive archive) throws IOException {
    int order = 10;
    for (Map.Entry<String, byte[]> module : modules.entrySet()) {
      archive.file("modules/%d-%s.ko".formatted(order++, module.getKey()), module.getValue());
    }
  }

  private void writeTestClasses(NewcArchive archive) throws IOException {
    archive.directory("ward/test-classes");
    for (Path entry : DirectoryTree.entries(testClasses)) {
      String name = testClasses.relativize(entry).toString();
      if (!name.startsWith("guest/")) {
        archive.copy("ward/test-classes/" + name, entry);
      }
    }
    for (Path program : DirectoryTree.entries(ward.guestPrograms())) {
      archive.copy("ward/test-classes/guest/" + program.getFileName(), program);
    }
  }
}
