package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * Where QEMU listens for a debugger: a short path, for a Unix socket's may have no more than 107
 * bytes.
 */
record DebuggerSocket(Path path) implements AutoCloseable {

  static DebuggerSocket create() throws IOException {
    return new DebuggerSocket(Files.createTempDirectory("ward-lab-").resolve("gdb"));
  }

  List<String> options() {
    return List.of(
        "-chardev",
        "socket,id=debugger,server=on,wait=off,path=" + path,
        "-gdb",
        "chardev:debugger");
  }

  @Override
  public void close() throws IOException {
    DirectoryTree.delete(path.getParent());
  }
}
