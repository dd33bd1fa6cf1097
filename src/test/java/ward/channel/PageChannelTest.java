package ward.channel;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.memory.Pages;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.FrameScanner;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.TransmissionException;
import ward.wire.Transport;
import ward.wire.WardPipeline;

/** Two ends of one TCP connection: both taken over, or one a channel of Netty's. */
class PageChannelTest {

  private static final UUID SESSION = new UUID(1, 2);
  private static final long PATIENCE_SECONDS = 30;

  private final CompletableFuture<PageChannel> source = new CompletableFuture<>();
  private final CompletableFuture<PageChannel> destination = new CompletableFuture<>();
  private Transport transport;
  private Channel listening;

  @BeforeEach
  void listen() throws Exception {
    transport = Transport.open("test", 2);
    listening =
        transport.listen(
            new InetSocketAddress(InetAddress.getLoopbackAddress(), 0),
            pipeline(
                () -> HelloHandler.accepting(p -> Optional.empty(), p -> hello(Role.SOURCE)),
                source));
  }

  @AfterEach
  void close() {
    transport.close();
  }

  private interface HelloSupply {
    HelloHandler hello();
  }

  private static ChannelInitializer<Channel> pipeline(
      HelloSupply hello, CompletableFuture<PageChannel> taken) {
    return new ChannelInitializer<>() {
      @Override
      protected void initChannel(Channel channel) {
        WardPipeline.install(channel, hello.hello(), new Takeover(into(taken)));
      }
    };
  }

  private static Takeover.Listener into(CompletableFuture<PageChannel> taken) {
    return new Takeover.Listener() {
      @Override
      public void taken(HelloCompleted hello, PageChannel channel) {
        taken.complete(channel);
      }

      @Override
      public void lost(Throwable cause) {
        taken.completeExceptionally(cause == null ? new IllegalStateException("lost") : cause);
      }
    };
  }

  private static Hello hello(Role role) {
    return new Hello(role, ConnectionKind.URGENT, SESSION, 1, ProtocolVersion.OURS, "host");
  }

  private void dial() throws Exception {
    transport.connect(
        (InetSocketAddress) listening.localAddress(),
        pipeline(() -> HelloHandler.dialling(hello(Role.DESTINATION)), destination));
  }

  /** What came on a channel, as text and in its order. */
  private static final class Heard implements PageChannel.Reactions {
    final BlockingQueue<String> words = new LinkedBlockingQueue<>();
    final CompletableFuture<Throwable> end = new CompletableFuture<>();

    @Override
    public void arrived(FrameScanner frames) {
      while (frames.next()) {
        words.add(frames.isPages() || frames.isRequest() ? inPlace(frames) : object(frames));
      }
    }

    private static String inPlace(FrameScanner frames) {
      return "%s %d 0x%x %d"
          .formatted(
              frames.isPages() ? "pages" : "request",
              frames.requestId(),
              frames.guestPhysicalAddress(),
              frames.pageCount());
    }

    private static String object(FrameScanner frames) {
      return frames.frame().map(Frame::toString).orElse("skipped");
    }

    @Override
    public void ended(Throwable cause) {
      end.complete(cause == null ? new NobodySaidAnything() : cause);
    }

    String next() throws InterruptedException {
      return words.poll(PATIENCE_SECONDS, SECONDS);
    }
  }

  private static final class NobodySaidAnything extends RuntimeException {}

  private static PageChannel got(CompletableFuture<PageChannel> channel) throws Exception {
    return channel.get(PATIENCE_SECONDS, SECONDS);
  }

  @Test
  void aRequestAndItsPagesCross() throws Exception {
    dial();
    Heard atSource = new Heard();
    Heard atDestination = new Heard();
    got(source).start("source", atSource);
    got(destination).start("destination", atDestination);

    got(destination).write(out -> out.request(7, 0x3000, 1));
    got(destination).flush();
    String asked = atSource.next();
    got(source)
        .write(
            out -> {
              out.roomForData(Pages.SIZE_BYTES);
              fill(out.inRoom(Pages.SIZE_BYTES), (byte) 0x5a);
              out.data(7, 0x3000, 1);
              out.zero(8, 0x4000, 1);
              out.frame(new PageAnswer.Failed(9, 0x5000, 1, "why"));
            });
    got(source).flush();

    assertThat(asked).isEqualTo("request 7 0x3000 1");
    assertThat(atDestination.next()).isEqualTo("pages 7 0x3000 1");
    assertThat(atDestination.next()).isEqualTo(new PageAnswer.Zero(8, 0x4000, 1).toString());
    assertThat(atDestination.next())
        .isEqualTo(new PageAnswer.Failed(9, 0x5000, 1, "why").toString());
  }

  private static void fill(ByteBuffer room, byte value) {
    while (room.hasRemaining()) {
      room.put(value);
    }
  }

  @Test
  void whatEndsBetweenTwoFramesHasNoCause() throws Exception {
    dial();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    got(destination).close();

    assertThat(atSource.end.get(PATIENCE_SECONDS, SECONDS)).isInstanceOf(NobodySaidAnything.class);
  }

  @Test
  void endingCompletesWhenNothingIsReactedToAnyMore() throws Exception {
    dial();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    got(source).end().toCompletableFuture().get(PATIENCE_SECONDS, SECONDS);

    assertThat(atSource.end).isDone();
  }

  @Test
  void whatIsSentOrClosedAfterTheEndDoesNothing() throws Exception {
    dial();
    Heard atSource = new Heard();
    got(source).start("source", atSource);
    got(destination).close();
    atSource.end.get(PATIENCE_SECONDS, SECONDS);
    got(source).end().toCompletableFuture().get(PATIENCE_SECONDS, SECONDS);

    got(source).request(1, 0, 1);
    got(source).write(out -> out.zero(1, 0, 1));
    got(source).flush();
    got(source).close();

    assertThat(got(source).end().toCompletableFuture()).isDone();
  }

  @Test
  void aChannelThatWasNeverStartedEndsAtOnce() throws Exception {
    dial();

    PageChannel unused = got(source);

    assertThat(unused.end().toCompletableFuture()).isDone();
  }

  @Test
  void bytesThatNettyHadReadAlreadyGoAlong() throws Exception {
    Channel raw = rawDestination();

    raw.writeAndFlush(new PageRequest(3, 0x8000, 2)).sync();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    assertThat(atSource.next()).isEqualTo("request 3 0x8000 2");
  }

  /** The other end stays Netty's; it sends as soon as it has said Hello. */
  private Channel rawDestination() throws Exception {
    return transport.connect(
        (InetSocketAddress) listening.localAddress(),
        new ChannelInitializer<>() {
          @Override
          protected void initChannel(Channel channel) {
            WardPipeline.install(
                channel,
                HelloHandler.dialling(hello(Role.DESTINATION)),
                new ChannelInboundHandlerAdapter());
          }
        });
  }

  @Test
  void aConnectionThatEndsInsideAFrameIsDamage() throws Exception {
    Channel raw = rawDestination();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    ByteBuf half = raw.alloc().buffer().writeZero(10);
    raw.writeAndFlush(half).sync();
    raw.close().sync();

    assertThat(atSource.end.get(PATIENCE_SECONDS, SECONDS))
        .isInstanceOf(TransmissionException.class)
        .hasMessageContaining("the connection ended inside a frame's header: 10 of 36 bytes came");
  }

  @Test
  void aHeaderThatIsNotWhatWasSentEndsTheConnection() throws Exception {
    Channel raw = rawDestination();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    raw.writeAndFlush(raw.alloc().buffer().writeZero(36)).sync();

    assertThat(atSource.end.get(PATIENCE_SECONDS, SECONDS))
        .isInstanceOf(TransmissionException.class)
        .hasMessageContaining("a frame's header came with checksum");
  }

  @Test
  void aReactionThatFailsEndsTheConnectionWithItsCause() throws Exception {
    dial();
    CompletableFuture<Throwable> end = new CompletableFuture<>();
    got(source)
        .start(
            "source",
            new PageChannel.Reactions() {
              @Override
              public void arrived(FrameScanner frames) {
                if (frames.next()) {
                  throw new ProtocolException("not that");
                }
              }

              @Override
              public void ended(Throwable cause) {
                end.complete(cause);
              }
            });
    Heard atDestination = new Heard();
    got(destination).start("destination", atDestination);

    got(destination).write(out -> out.request(1, 0, 1));
    got(destination).flush();

    assertThat(end.get(PATIENCE_SECONDS, SECONDS)).hasMessage("not that");
    assertThat(atDestination.end.get(PATIENCE_SECONDS, SECONDS)).isNotNull();
  }
}
