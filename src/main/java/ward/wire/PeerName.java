package ward.wire;

import io.netty.channel.Channel;
import io.netty.util.NetUtil;
import java.net.InetSocketAddress;

/** What error texts call the other end of a connection. */
final class PeerName {

  private PeerName() {}

  /** For instance {@code peer 10.0.0.7:4444}, or {@code local peer} over a UNIX socket. */
  static String of(Channel channel) {
    return channel.remoteAddress() instanceof InetSocketAddress address
        ? "peer " + NetUtil.toSocketAddressString(address)
        : "local peer";
  }
}
