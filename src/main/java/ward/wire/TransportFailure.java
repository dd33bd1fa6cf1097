package ward.wire;

import io.netty.channel.ConnectTimeoutException;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.channel.unix.Errors.NativeIoException;
import io.netty.util.NetUtil;
import java.io.FileNotFoundException;
import java.net.ConnectException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.net.UnknownHostException;
import java.nio.file.Path;
import jnr.constants.platform.Errno;

/** What went wrong with a socket, in words that say what to do. */
final class TransportFailure {

  private TransportFailure() {}

  static TransportException listening(InetSocketAddress address, Throwable cause) {
    String reason =
        switch (errnoOf(cause)) {
          case EADDRINUSE ->
              "the port is in use (EADDRINUSE); choose another --listen port or stop the program"
                  + " that has it";
          case EADDRNOTAVAIL ->
              "no interface of this host has that address (EADDRNOTAVAIL); choose one of its own";
          case EACCES ->
              "ports below 1024 need CAP_NET_BIND_SERVICE (EACCES); choose another --listen port";
          default -> plain(cause);
        };
    return new TransportException(
        "cannot listen on %s: %s".formatted(nameOf(address), reason), cause);
  }

  static TransportException listening(Path path, Throwable cause) {
    String reason =
        switch (errnoOf(cause)) {
          case EADDRINUSE -> "another program listens there; choose another path or stop it";
          case EACCES -> "this user may not create files there (EACCES); choose another path";
          case ENOENT -> "its directory does not exist (ENOENT); create it first";
          default -> plain(cause);
        };
    return new TransportException("cannot listen on %s: %s".formatted(path, reason), cause);
  }

  static TransportException connecting(SocketAddress address, Throwable cause) {
    return new TransportException(
        "cannot connect to %s: %s".formatted(nameOf(address), whyNotConnected(cause)), cause);
  }

  private static String whyNotConnected(Throwable cause) {
    if (cause instanceof ConnectTimeoutException) {
      return "no answer in time; is a firewall in between?";
    }
    if (cause instanceof UnknownHostException) {
      return "no such host name";
    }
    if (isRefusal(cause)) {
      return "connection refused (ECONNREFUSED); is ward running there?";
    }
    return cause instanceof FileNotFoundException
        ? "no such socket (ENOENT); is ward running there?"
        : plain(cause);
  }

  /** Whether nobody listens there, as opposed to nobody answering. */
  static boolean isRefusal(Throwable cause) {
    // Netty's exceptions for connect(2) do not give their errno away.
    return cause instanceof ConnectException && plain(cause).contains("Connection refused");
  }

  private static Errno errnoOf(Throwable cause) {
    return cause instanceof NativeIoException failure
        ? Errno.valueOf(-failure.expectedErr())
        : Errno.__UNKNOWN_CONSTANT__;
  }

  private static String plain(Throwable cause) {
    return cause.getMessage() == null ? cause.toString() : cause.getMessage();
  }

  private static String nameOf(SocketAddress address) {
    if (address instanceof InetSocketAddress internet) {
      return NetUtil.toSocketAddressString(internet);
    }
    return address instanceof DomainSocketAddress local ? local.path() : address.toString();
  }
}
