package ward.wire;

import io.netty.bootstrap.Bootstrap;
import io.netty.bootstrap.ServerBootstrap;
import io.netty.channel.AdaptiveRecvByteBufAllocator;
import io.netty.channel.Channel;
import io.netty.channel.ChannelFuture;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.channel.ChannelOption;
import io.netty.channel.EventLoopGroup;
import io.netty.channel.MultiThreadIoEventLoopGroup;
import io.netty.channel.ServerChannel;
import io.netty.channel.WriteBufferWaterMark;
import io.netty.channel.epoll.Epoll;
import io.netty.channel.epoll.EpollChannelOption;
import io.netty.channel.epoll.EpollDomainSocketChannel;
import io.netty.channel.epoll.EpollIoHandler;
import io.netty.channel.epoll.EpollServerDomainSocketChannel;
import io.netty.channel.epoll.EpollServerSocketChannel;
import io.netty.channel.epoll.EpollSocketChannel;
import io.netty.channel.unix.DomainSocketAddress;
import io.netty.channel.unix.UnixChannel;
import io.netty.util.concurrent.DefaultThreadFactory;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The event loops, and the connections they serve: TCP between hosts, UNIX sockets on one.
 *
 * <p>Linux's epoll, through Netty's native transport. Every method that waits must not be called on
 * an event loop.
 */
public final class Transport implements AutoCloseable {

  /** The most bytes that one read brings. */
  static final int READ_BYTES_MAX = 256 << 10;

  private static final int READ_BYTES_MIN = 2 << 10;
  private static final int READ_BYTES_FIRST = 16 << 10;
  private static final int CONNECT_TIMEOUT_MILLIS = 10_000;

  /** A dead peer is noticed after 10 + 3 * 5 seconds without traffic. */
  private static final int KEEPALIVE_IDLE_SECONDS = 10;

  private static final int KEEPALIVE_INTERVAL_SECONDS = 5;
  private static final int KEEPALIVE_PROBES = 3;

  /**
   * The same for a peer that owes an acknowledgement: without it the kernel tries for a quarter of
   * an hour (tcp(7), TCP_USER_TIMEOUT).
   */
  private static final int USER_TIMEOUT_MILLIS =
      (KEEPALIVE_IDLE_SECONDS + KEEPALIVE_PROBES * KEEPALIVE_INTERVAL_SECONDS) * 1_000;

  private static final int S_IFMT = 0170000;
  private static final int S_IFSOCK = 0140000;

  /** unix(7): sun_path holds 108 bytes with the final NUL. */
  private static final int SOCKET_PATH_BYTES_MAX = 107;

  /**
   * When a connection stops and starts being writable. Low enough that a request does not wait
   * behind much bulk data, high enough that the socket never runs dry.
   */
  private static final WriteBufferWaterMark WATER_MARK =
      new WriteBufferWaterMark(256 << 10, 1 << 20);

  private static final Logger log = LoggerFactory.getLogger(Transport.class);

  private static final Set<PosixFilePermission> OWNERS_ONLY =
      PosixFilePermissions.fromString("rw-------");

  private final EventLoopGroup eventLoops;

  private Transport(EventLoopGroup eventLoops) {
    this.eventLoops = eventLoops;
  }

  /**
   * @param threads event loops, each a daemon thread
   * @param name what the threads are called
   * @throws TransportException if Netty's native library does not load on this machine
   */
  public static Transport open(String name, int threads) throws TransportException {
    if (!Epoll.isAvailable()) {
      throw new TransportException(
          ("Netty's epoll library did not load (%s); Linux on x86-64 or arm64, and a java.io.tmpdir"
                  + " that is not mounted noexec, are needed")
              .formatted(Epoll.unavailabilityCause().getMessage()),
          Epoll.unavailabilityCause());
    }
    return new Transport(
        new MultiThreadIoEventLoopGroup(
            threads, new DefaultThreadFactory(name, true), EpollIoHandler.newFactory()));
  }

  /** For timers, and for what shares a thread with connections. */
  public EventLoopGroup eventLoops() {
    return eventLoops;
  }

  /**
   * Accepts TCP connections.
   *
   * @param address port 0 takes any free port; the channel's local address tells which
   * @param initializer installs each connection's handlers
   * @return the listening channel; closing it leaves accepted connections alone
   * @throws TransportException if the address cannot be had
   */
  public Channel listen(InetSocketAddress address, ChannelHandler initializer)
      throws TransportException {
    ServerBootstrap bootstrap =
        server(EpollServerSocketChannel.class, initializer)
            .option(ChannelOption.SO_REUSEADDR, true)
            .childOption(ChannelOption.TCP_NODELAY, true)
            .childOption(ChannelOption.SO_KEEPALIVE, true)
            .childOption(EpollChannelOption.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
            .childOption(EpollChannelOption.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
            .childOption(EpollChannelOption.TCP_KEEPCNT, KEEPALIVE_PROBES)
            .childOption(EpollChannelOption.TCP_USER_TIMEOUT, USER_TIMEOUT_MILLIS);
    ChannelFuture bound = bootstrap.bind(address).awaitUninterruptibly();
    if (!bound.isSuccess()) {
      throw TransportFailure.listening(address, bound.cause());
    }
    return bound.channel();
  }

  /**
   * Accepts connections on a UNIX socket, for the socket file's owner only, from the file's first
   * moment on. The file goes when the channel closes; one that a dead program left is replaced.
   *
   * @param path at most 107 bytes
   * @throws TransportException if the path is too long, in use by a live program, or not a socket
   */
  public Channel listen(Path path, ChannelHandler initializer) throws TransportException {
    requireShort(path);
    removeStale(path);
    DomainSocketAddress address = new DomainSocketAddress(path.toFile());
    ChannelFuture bound =
        server(EpollServerDomainSocketChannel.class, initializer)
            .handler(new OwnersOnly())
            .bind(address)
            .awaitUninterruptibly();
    if (!bound.isSuccess()) {
      throw TransportFailure.listening(path, bound.cause());
    }
    bound.channel().closeFuture().addListener(closed -> Files.deleteIfExists(path));
    restrict(path, bound.channel());
    return bound.channel();
  }

  /**
   * Connects over TCP, for at most 10 seconds.
   *
   * @return the channel; fails with a {@link TransportException}
   */
  public CompletableFuture<Channel> connectAsync(
      InetSocketAddress address, ChannelHandler initializer) {
    return connectAsync(address, initializer, eventLoops);
  }

  /**
   * As {@link #connectAsync(InetSocketAddress, ChannelHandler)}.
   *
   * @param loops of {@link #eventLoops()}: one, or all, that may serve the connection
   */
  public CompletableFuture<Channel> connectAsync(
      InetSocketAddress address, ChannelHandler initializer, EventLoopGroup loops) {
    return connecting(
        client(EpollSocketChannel.class, initializer)
            .group(loops)
            .option(ChannelOption.TCP_NODELAY, true)
            .option(ChannelOption.SO_KEEPALIVE, true)
            .option(EpollChannelOption.TCP_KEEPIDLE, KEEPALIVE_IDLE_SECONDS)
            .option(EpollChannelOption.TCP_KEEPINTVL, KEEPALIVE_INTERVAL_SECONDS)
            .option(EpollChannelOption.TCP_KEEPCNT, KEEPALIVE_PROBES)
            .option(EpollChannelOption.TCP_USER_TIMEOUT, USER_TIMEOUT_MILLIS),
        address);
  }

  /**
   * Connects over TCP, for at most 10 seconds.
   *
   * @throws TransportException if nobody answers there
   */
  public Channel connect(InetSocketAddress address, ChannelHandler initializer)
      throws TransportException {
    return await(connectAsync(address, initializer));
  }

  /**
   * Connects to a UNIX socket.
   *
   * @param path at most 107 bytes
   * @throws TransportException if nobody listens there, or this user may not
   */
  public Channel connect(Path path, ChannelHandler initializer) throws TransportException {
    requireShort(path);
    return await(
        connecting(
            client(EpollDomainSocketChannel.class, initializer).group(eventLoops),
            new DomainSocketAddress(path.toFile())));
  }

  /** Closes all connections; returns when they are closed, within 5 seconds. */
  @Override
  public void close() {
    eventLoops.shutdownGracefully(0, 5, TimeUnit.SECONDS).awaitUninterruptibly();
  }

  private ServerBootstrap server(Class<? extends ServerChannel> type, ChannelHandler initializer) {
    return new ServerBootstrap()
        .group(eventLoops)
        .channel(type)
        .childHandler(initializer)
        .childOption(ChannelOption.RECVBUF_ALLOCATOR, readSizes())
        .childOption(ChannelOption.WRITE_BUFFER_WATER_MARK, WATER_MARK);
  }

  private Bootstrap client(Class<? extends Channel> type, ChannelHandler initializer) {
    return new Bootstrap()
        .channel(type)
        .handler(initializer)
        .option(ChannelOption.CONNECT_TIMEOUT_MILLIS, CONNECT_TIMEOUT_MILLIS)
        .option(ChannelOption.RECVBUF_ALLOCATOR, readSizes())
        .option(ChannelOption.WRITE_BUFFER_WATER_MARK, WATER_MARK);
  }

  /** Grows to bulk size on a stream, and stays small elsewhere. */
  private static AdaptiveRecvByteBufAllocator readSizes() {
    return new AdaptiveRecvByteBufAllocator(READ_BYTES_MIN, READ_BYTES_FIRST, READ_BYTES_MAX);
  }

  private static CompletableFuture<Channel> connecting(Bootstrap bootstrap, SocketAddress address) {
    CompletableFuture<Channel> connected = new CompletableFuture<>();
    ChannelFuture attempt = bootstrap.connect(address);
    attempt.addListener(
        done -> {
          if (done.isSuccess()) {
            connected.complete(attempt.channel());
          } else {
            connected.completeExceptionally(TransportFailure.connecting(address, done.cause()));
          }
        });
    return connected;
  }

  private static Channel await(CompletableFuture<Channel> connected) throws TransportException {
    try {
      return connected.join();
    } catch (CompletionException e) {
      throw e.getCause() instanceof TransportException failure
          ? failure
          : new TransportException("connecting failed: " + e.getCause(), e.getCause());
    }
  }

  private static void requireShort(Path path) throws TransportException {
    int lengthBytes = path.toString().getBytes(StandardCharsets.UTF_8).length;
    if (lengthBytes > SOCKET_PATH_BYTES_MAX) {
      throw new TransportException(
          "socket path %s has %d bytes; at most %d, choose a shorter one"
              .formatted(path, lengthBytes, SOCKET_PATH_BYTES_MAX),
          null);
    }
  }

  /** Removes the socket of a program that died: a file to which nobody answers. */
  private void removeStale(Path path) throws TransportException {
    if (!Files.exists(path, LinkOption.NOFOLLOW_LINKS)) {
      return;
    }
    if (!isSocket(path)) {
      throw new TransportException(
          "cannot listen on %s: a file that is not a socket is there; choose another path"
              .formatted(path),
          null);
    }
    if (isAnswered(path)) {
      throw new TransportException(
          "cannot listen on %s: another program listens there; choose another path or stop it"
              .formatted(path),
          null);
    }
    try {
      Files.deleteIfExists(path);
    } catch (IOException e) {
      throw new TransportException(
          "cannot remove the stale socket %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  private static boolean isSocket(Path path) throws TransportException {
    try {
      // stat(2): S_IFSOCK, which the JDK knows only as "other".
      int mode = (int) Files.getAttribute(path, "unix:mode", LinkOption.NOFOLLOW_LINKS);
      return (mode & S_IFMT) == S_IFSOCK;
    } catch (IOException e) {
      throw new TransportException("cannot look at %s: %s".formatted(path, e.getMessage()), e);
    }
  }

  private boolean isAnswered(Path path) throws TransportException {
    try {
      connect(path, new ChannelInboundHandlerAdapter()).close();
      return true;
    } catch (TransportException e) {
      if (TransportFailure.isRefusal(e.getCause())) {
        return false;
      }
      throw e; // a busy program, or one of another user, is not a dead one
    }
  }

  /**
   * Restricts a socket before it has a file: the kernel takes the file's mode from the socket's own
   * ({@code unix_bind_bsd} in net/unix/af_unix.c), so nobody else can ever connect. Where that is
   * not possible the file is restricted when it is there.
   */
  private static final class OwnersOnly extends ChannelInitializer<UnixChannel> {
    @Override
    protected void initChannel(UnixChannel channel) {
      try {
        Path socket = Path.of("/proc/self/fd", Integer.toString(channel.fd().intValue()));
        Files.setPosixFilePermissions(socket, OWNERS_ONLY);
      } catch (IOException e) {
        log.debug("the control socket is restricted after its making: {}", e.getMessage());
      }
    }
  }

  private static void restrict(Path path, Channel listening) throws TransportException {
    try {
      Files.setPosixFilePermissions(path, OWNERS_ONLY);
    } catch (IOException e) {
      listening.close().awaitUninterruptibly();
      throw new TransportException(
          "cannot restrict %s to its owner: %s".formatted(path, e.getMessage()), e);
    }
  }
}
