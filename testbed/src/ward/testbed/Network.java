package ward.testbed;

import java.io.IOException;
import java.util.List;
import java.util.concurrent.TimeUnit;
import jnr.posix.POSIXFactory;

/**
 * Two hosts' worth of network on one machine: two namespaces joined by a veth pair where root and
 * {@code ip} allow it, 127.0.0.1 elsewhere.
 *
 * @param sourceAddress where a source listens
 * @param sourcePrefix what runs a process on the source's host
 */
record Network(
    String description,
    String sourceAddress,
    List<String> sourcePrefix,
    List<String> destinationPrefix,
    List<List<String>> undo)
    implements AutoCloseable {

  private static final String SOURCE_ADDRESS = "10.83.0.1";
  private static final String DESTINATION_ADDRESS = "10.83.0.2";

  static Network make() throws IOException {
    if (POSIXFactory.getPOSIX().geteuid() != 0 || !succeeds(List.of("ip", "-V"))) {
      return plain("no root, or no `ip`");
    }
    String tag = Long.toString(ProcessHandle.current().pid());
    String source = "ward-s-" + tag;
    String destination = "ward-d-" + tag;
    Network network =
        new Network(
            "two network namespaces, %s and %s, joined by a veth pair"
                .formatted(source, destination),
            SOURCE_ADDRESS,
            List.of("ip", "netns", "exec", source),
            List.of("ip", "netns", "exec", destination),
            List.of(
                List.of("ip", "netns", "delete", source),
                List.of("ip", "netns", "delete", destination)));
    if (setUp(source, destination, tag)) {
      return network;
    }
    network.close();
    return plain("`ip netns` is not allowed here");
  }

  static Network plain(String why) {
    return new Network("127.0.0.1 (" + why + ")", "127.0.0.1", List.of(), List.of(), List.of());
  }

  private static boolean setUp(String source, String destination, String tag) throws IOException {
    String one = "ws" + tag;
    String other = "wd" + tag;
    return succeeds(List.of("ip", "netns", "add", source))
        && succeeds(List.of("ip", "netns", "add", destination))
        && succeeds(
            List.of(
                "ip",
                "-n",
                source,
                "link",
                "add",
                one,
                "type",
                "veth",
                "peer",
                "name",
                other,
                "netns",
                destination))
        && address(source, one, SOURCE_ADDRESS)
        && address(destination, other, DESTINATION_ADDRESS);
  }

  private static boolean address(String namespace, String device, String address)
      throws IOException {
    return succeeds(List.of("ip", "-n", namespace, "addr", "add", address + "/30", "dev", device))
        && succeeds(List.of("ip", "-n", namespace, "link", "set", "lo", "up"))
        && succeeds(List.of("ip", "-n", namespace, "link", "set", device, "up"));
  }

  private static boolean succeeds(List<String> command) throws IOException {
    try {
      Process process =
          new ProcessBuilder(command)
              .redirectOutput(ProcessBuilder.Redirect.DISCARD)
              .redirectError(ProcessBuilder.Redirect.DISCARD)
              .start();
      return process.waitFor(10, TimeUnit.SECONDS) && process.exitValue() == 0;
    } catch (IOException e) {
      return false; // no such program
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  @Override
  public void close() throws IOException {
    for (List<String> command : undo) {
      succeeds(command);
    }
  }
}
