package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;

/**
 * A cable between two machines, and nothing else: what one QEMU sends, the other gets, through a
 * Unix socket. Inside it is {@code eth0}, with the address 10.83.0.1 on host 1 and 10.83.0.2 on
 * host 2.
 *
 * @param directory holds the socket
 */
record LabNetwork(Path directory) implements AutoCloseable {

  /** What a machine's kernel needs for it, where that is no part of the kernel. */
  static final List<String> MODULES = List.of("virtio_pci", "virtio_net");

  private static final long POLL_MILLIS = 20;
  private static final long PATIENCE_MILLIS = 30_000;

  static LabNetwork create() throws IOException {
    return new LabNetwork(Files.createTempDirectory("ward-lab-"));
  }

  private Path socket() {
    return directory.resolve("cable");
  }

  /** QEMU's options for a host, 1 or 2; host 1 is to be started first. */
  List<String> options(int host) {
    return List.of(
        "-netdev",
        "stream,id=cable,server=%s,addr.type=unix,addr.path=%s"
            .formatted(host == 1 ? "on" : "off", socket()),
        "-device",
        // Without a ROM to boot from: the firmware would look for a server for seconds.
        "virtio-net-pci,netdev=cable,mac=52:54:00:57:41:%02x,romfile=".formatted(host));
  }

  /** Waits until host 1 is there to be connected to. */
  void awaitHost1() throws IOException {
    try {
      for (long waited = 0; !Files.exists(socket()); waited += POLL_MILLIS) {
        if (waited > PATIENCE_MILLIS) {
          throw new IOException(
              "host 1 does not listen at %s; see its console".formatted(socket()));
        }
        Thread.sleep(POLL_MILLIS);
      }
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  @Override
  public void close() throws IOException {
    DirectoryTree.delete(directory);
  }
}
