package ward.kernel;

import java.io.IOException;
import java.io.InputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;

/** Finds {@code libward.so}: where the user says, or inside the jar. */
final class StubLibrary {

  /** Names the library's file. If it is set and wrong, that is an error: nothing else is tried. */
  static final String PROPERTY = "ward.stubs";

  private StubLibrary() {}

  static Path locate() {
    String chosen = System.getProperty(PROPERTY);
    return chosen != null ? existing(Path.of(chosen)) : extracted(resource());
  }

  private static Path existing(Path library) {
    if (!Files.isRegularFile(library)) {
      throw new IllegalStateException(
          "-D%s=%s: no such file; build it with `make -C native-stubs`"
              .formatted(PROPERTY, library));
    }
    return library.toAbsolutePath();
  }

  /** The resource's name follows {@code uname -m}, as the Makefile's does. */
  private static String resource() {
    String architecture = System.getProperty("os.arch").equals("aarch64") ? "aarch64" : "x86_64";
    return "/native/linux-" + architecture + "/libward.so";
  }

  private static Path extracted(String resource) {
    try (InputStream library = StubLibrary.class.getResourceAsStream(resource)) {
      if (library == null) {
        throw new IllegalStateException(
            "this jar holds no %s: it was built on another architecture. Build Ward on this host, or"
                    .formatted(resource)
                + " name a library with -D"
                + PROPERTY);
      }
      Path copy = Files.createTempFile("libward-", ".so");
      copy.toFile().deleteOnExit();
      Files.copy(library, copy, StandardCopyOption.REPLACE_EXISTING);
      return copy;
    } catch (IOException e) {
      throw new IllegalStateException(
          "cannot unpack libward.so into %s: %s; choose another directory with -Djava.io.tmpdir"
              .formatted(System.getProperty("java.io.tmpdir"), e.getMessage()),
          e);
    }
  }
}
