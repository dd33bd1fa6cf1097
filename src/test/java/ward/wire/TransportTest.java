package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelHandler;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermission;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.Pages;
import ward.wire.ControlMessage.Hello;

/** Real sockets on one machine. */
@Timeout(30)
class TransportTest {

  private static final InetSocketAddress ANY_PORT = new InetSocketAddress("127.0.0.1", 0);

  @TempDir Path directory;

  private Transport transport;

  @BeforeEach
  void open() throws TransportException {
    transport = Transport.open("wire-test", 2);
  }

  @AfterEach
  void close() {
    transport.close();
  }

  /** Queues everything that arrives. */
  private static final class Inbox extends ChannelInboundHandlerAdapter {

    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      arrived.add(event);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      arrived.add(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      arrived.add(cause);
      context.close();
    }

    <T> T take(Class<T> type) throws InterruptedException {
      return assertInstanceOf(type, arrived.poll(10, TimeUnit.SECONDS));
    }
  }

  private static ChannelHandler installing(Supplier<HelloHandler> hello, Inbox session) {
    return new ChannelInitializer<Channel>() {
      @Override
      protected void initChannel(Channel channel) {
        WardPipeline.install(channel, hello.get(), session);
      }
    };
  }

  private static Hello hello(Role role) {
    return new Hello(
        role, ConnectionKind.STREAM, Messages.SESSION, 1, ProtocolVersion.OURS, role.name());
  }

  private static ChannelHandler accepting(Inbox session) {
    return installing(
        () -> HelloHandler.accepting(peer -> Optional.empty(), peer -> hello(Role.DESTINATION)),
        session);
  }

  private static ChannelHandler dialling(Inbox session) {
    return installing(() -> HelloHandler.dialling(hello(Role.SOURCE)), session);
  }

  @Test
  void framesCrossATcpConnectionOnLoopback() throws Exception {
    Inbox destination = new Inbox();
    Inbox source = new Inbox();
    Channel listening = transport.listen(ANY_PORT, accepting(destination));

    Channel dialled =
        transport.connect((InetSocketAddress) listening.localAddress(), dialling(source));

    assertFramesCross(dialled, source, destination);
  }

  @Test
  void framesCrossAUnixSocket() throws Exception {
    Inbox daemon = new Inbox();
    Inbox command = new Inbox();
    Path path = directory.resolve("ward.sock");
    transport.listen(path, accepting(daemon));

    Channel dialled = transport.connect(path, dialling(command));

    assertFramesCross(dialled, command, daemon);
  }

  private static void assertFramesCross(Channel dialled, Inbox source, Inbox destination)
      throws InterruptedException {
    assertEquals(hello(Role.DESTINATION), source.take(HelloCompleted.class).peer());
    assertEquals(hello(Role.SOURCE), destination.take(HelloCompleted.class).peer());

    for (int i = 1; i <= 20; i++) {
      dialled.write(new PageAnswer.Data(i, 0, 512, filled(dialled, 512, i)));
    }
    dialled.writeAndFlush(new StreamEnd());

    for (int i = 1; i <= 20; i++) {
      PageAnswer.Data data = destination.take(PageAnswer.Data.class);
      assertEquals(i, data.requestId());
      assertTrue(data.body().isDirect() && data.body().hasMemoryAddress());
      assertEquals(-1, data.body().forEachByte(filling(i)));
      data.release();
    }
    destination.take(StreamEnd.class);
    dialled.close().sync();
  }

  private static ByteBuf filled(Channel channel, int pages, int value) {
    ByteBuf body = channel.alloc().directBuffer((int) Pages.bytes(pages));
    while (body.isWritable()) {
      body.writeByte(value);
    }
    return body;
  }

  private static io.netty.util.ByteProcessor filling(int value) {
    return each -> each == (byte) value;
  }

  @Test
  void aPortInUseIsNamedAndSaysWhatToDo() throws TransportException {
    Channel first = transport.listen(ANY_PORT, accepting(new Inbox()));
    InetSocketAddress taken = (InetSocketAddress) first.localAddress();

    var e =
        assertThrows(
            TransportException.class, () -> transport.listen(taken, accepting(new Inbox())));

    assertEquals(
        ("cannot listen on 127.0.0.1:%d: the port is in use (EADDRINUSE); choose another --listen port or"
                + " stop the program that has it")
            .formatted(taken.getPort()),
        e.getMessage());
  }

  @Test
  void anAddressOfAnotherHostIsNamed() {
    var elsewhere = new InetSocketAddress("192.0.2.1", 4444); // RFC 5737: nobody has it

    var e =
        assertThrows(
            TransportException.class, () -> transport.listen(elsewhere, accepting(new Inbox())));

    assertEquals(
        "cannot listen on 192.0.2.1:4444: no interface of this host has that address"
            + " (EADDRNOTAVAIL); choose one of its own",
        e.getMessage());
  }

  @Test
  void aPortWhereNobodyListensIsNamed() throws Exception {
    Channel listening = transport.listen(ANY_PORT, accepting(new Inbox()));
    InetSocketAddress gone = (InetSocketAddress) listening.localAddress();
    listening.close().sync();

    var later = transport.connectAsync(gone, dialling(new Inbox()));
    var e = assertThrows(CompletionException.class, later::join);

    assertThat(e.getCause())
        .isInstanceOf(TransportException.class)
        .hasMessage(
            ("cannot connect to 127.0.0.1:%d: connection refused (ECONNREFUSED); is ward"
                    + " running there?")
                .formatted(gone.getPort()));
  }

  @Test
  void anUnresolvedHostNameIsNamed() {
    var nowhere = InetSocketAddress.createUnresolved("no-such-host.invalid", 4444); // RFC 2606

    var e =
        assertThrows(
            TransportException.class, () -> transport.connect(nowhere, dialling(new Inbox())));

    assertThat(e).hasMessage("cannot connect to no-such-host.invalid:4444: no such host name");
  }

  @Test
  void aUnixSocketIsItsOwnersAloneAndGoesWhenItCloses() throws Exception {
    Path path = directory.resolve("ward.sock");

    Channel listening = transport.listen(path, accepting(new Inbox()));

    assertEquals(PosixFilePermissions.fromString("rw-------"), Files.getPosixFilePermissions(path));
    listening.close().sync();
    awaitAbsent(path);
  }

  /** A watcher that sees the file in between would sooner or later see another mode. */
  @Test
  void aUnixSocketIsNeverAnybodyElsesNotEvenForAMoment() throws Exception {
    Path path = directory.resolve("watched.sock");
    Set<Set<PosixFilePermission>> seen = ConcurrentHashMap.newKeySet();
    AtomicBoolean over = new AtomicBoolean();
    Thread watcher = new Thread(() -> watch(path, seen, over), "watcher");
    watcher.start();

    for (int i = 0; i < 200; i++) {
      transport.listen(path, accepting(new Inbox())).close().sync();
      awaitAbsent(path);
    }
    over.set(true);
    watcher.join();

    assertThat(seen).containsExactly(PosixFilePermissions.fromString("rw-------"));
  }

  private static void watch(Path path, Set<Set<PosixFilePermission>> seen, AtomicBoolean over) {
    while (!over.get()) {
      try {
        seen.add(Files.getPosixFilePermissions(path));
      } catch (IOException absent) {
        Thread.onSpinWait();
      }
    }
  }

  private static void awaitAbsent(Path path) throws InterruptedException {
    for (int i = 0; i < 1000 && Files.exists(path); i++) {
      Thread.sleep(5);
    }
    assertFalse(Files.exists(path));
  }

  @Test
  void theSocketThatADeadProgramLeftIsReplaced() throws Exception {
    Path path = directory.resolve("ward.sock");
    Path moved = directory.resolve("moved.sock");
    Channel dead = transport.listen(path, accepting(new Inbox()));
    Files.move(path, moved); // its closing removes the old name only
    dead.close().sync();
    Files.move(moved, path);

    Inbox daemon = new Inbox();
    transport.listen(path, accepting(daemon));
    transport.connect(path, dialling(new Inbox()));

    daemon.take(HelloCompleted.class);
  }

  @Test
  void aSocketWhereAnotherProgramListensIsLeftAlone() throws Exception {
    Path path = directory.resolve("ward.sock");
    transport.listen(path, accepting(new Inbox()));

    var e =
        assertThrows(
            TransportException.class, () -> transport.listen(path, accepting(new Inbox())));

    assertEquals(
        "cannot listen on %s: another program listens there; choose another path or stop it"
            .formatted(path),
        e.getMessage());
    assertTrue(Files.exists(path));
  }

  @Test
  void aFileThatIsNotASocketIsLeftAlone() throws Exception {
    Path path = Files.writeString(directory.resolve("ward.sock"), "precious");

    var e =
        assertThrows(
            TransportException.class, () -> transport.listen(path, accepting(new Inbox())));

    assertThat(e).hasMessageContaining("a file that is not a socket is there");
    assertEquals("precious", Files.readString(path));
  }

  @Test
  void aSocketPathThatIsTooLongIsNamed() {
    Path path = directory.resolve("x".repeat(120));

    var e = assertThrows(TransportException.class, () -> transport.connect(path, new Inbox()));

    assertThat(e).hasMessageContaining("at most 107");
  }

  @Test
  void aSocketThatIsNotThereIsNamed() {
    Path path = directory.resolve("absent.sock");

    var e = assertThrows(TransportException.class, () -> transport.connect(path, new Inbox()));

    assertEquals(
        "cannot connect to %s: no such socket (ENOENT); is ward running there?".formatted(path),
        e.getMessage());
  }
}
