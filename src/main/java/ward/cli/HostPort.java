package ward.cli;

import java.net.InetSocketAddress;
import picocli.CommandLine.TypeConversionException;

/**
 * An address as people write it: {@code 192.0.2.7:4444}, {@code [2001:db8::7]:4444}, {@code
 * host:4444}.
 */
record HostPort(String host, int port) {

  private static final int MAX_PORT = 65535;

  static HostPort parse(String text) {
    int colon = text.lastIndexOf(':');
    if (colon < 1) {
      throw new TypeConversionException("\"%s\" is not HOST:PORT".formatted(text));
    }
    String host = text.substring(0, colon);
    if (host.startsWith("[") && host.endsWith("]")) {
      host = host.substring(1, host.length() - 1);
    } else if (host.indexOf(':') >= 0) {
      throw new TypeConversionException(
          "\"%s\": an IPv6 address is written [ADDRESS]:PORT".formatted(text));
    }
    return new HostPort(host, port(text, text.substring(colon + 1)));
  }

  private static int port(String text, String digits) {
    try {
      int port = Integer.parseInt(digits);
      if (port >= 0 && port <= MAX_PORT) {
        return port;
      }
    } catch (NumberFormatException e) {
      // told below, with what is allowed
    }
    throw new TypeConversionException(
        "\"%s\": port \"%s\"; 0 to %d is allowed".formatted(text, digits, MAX_PORT));
  }

  /** Resolved; or a failure that names the host. */
  InetSocketAddress resolve() {
    InetSocketAddress address = new InetSocketAddress(host, port);
    if (address.isUnresolved()) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED, "host name \"%s\" cannot be resolved".formatted(host));
    }
    return address;
  }
}
