package ward.testbed.lab;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Pattern;
import java.util.stream.Collectors;

/** What dpkg says is installed on this machine. */
final class InstalledPackages {

  /** dpkg's own file: stanzas with empty lines between them. */
  static final Path STATUS = Path.of("/var/lib/dpkg/status");

  /**
   * What the lab fetches even if it is here: a tree that is unpacked and not installed finds its
   * own parts beside it, and only there.
   */
  private static final Pattern FETCHED_ANYWAY =
      Pattern.compile(
          "Package: (qemu-.*|seabios|ipxe-qemu|.*aarch64.*|.*-arm64-cross|.*-cross-base)");

  private InstalledPackages() {}

  /** A status file that apt may count dependencies against. */
  static String libraries() throws IOException {
    return without(Files.readString(STATUS));
  }

  static String without(String status) {
    return Arrays.stream(status.split("\n\n+"))
        .filter(stanza -> stanza.lines().noneMatch(line -> FETCHED_ANYWAY.matcher(line).matches()))
        .map(stanza -> stanza + "\n\n")
        .collect(Collectors.joining());
  }
}
