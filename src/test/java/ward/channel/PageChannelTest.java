package ward.channel;

import static java.util.concurrent.TimeUnit.SECONDS;
import static org.assertj.core.api.Assertions.assertThat;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.Channel;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Supplier;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.kernel.NativeMemory;
import ward.kernel.StagingMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.FrameEncoder;
import ward.wire.FrameScanner;
import ward.wire.FrameWriter;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.MixedPages;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.StreamEnd;
import ward.wire.TransmissionException;
import ward.wire.Transport;
import ward.wire.WardPipeline;

/** Two ends of one TCP connection: both taken over, or one a channel of Netty's. */
class PageChannelTest {

  private static final UUID SESSION = new UUID(1, 2);
  private static final long PATIENCE_SECONDS = 30;

  private final BlockingQueue<Throwable> failures = new LinkedBlockingQueue<>();
  private final Lookout lookout = new Lookout("lookout", failures::add);
  private CompletableFuture<PageChannel> source = new CompletableFuture<>();
  private CompletableFuture<PageChannel> destination = new CompletableFuture<>();
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
                () -> source));
  }

  @AfterEach
  void close() {
    lookout.end();
    for (CompletableFuture<PageChannel> channel : List.of(source, destination)) {
      channel.thenAccept(PageChannel::close);
    }
    transport.close();
    assertThat(failures).isEmpty();
  }

  private interface HelloSupply {
    HelloHandler hello();
  }

  private static ChannelInitializer<Channel> pipeline(
      HelloSupply hello, Supplier<CompletableFuture<PageChannel>> taken) {
    return new ChannelInitializer<>() {
      @Override
      protected void initChannel(Channel channel) {
        WardPipeline.install(channel, hello.hello(), new Takeover(into(taken.get())));
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
        pipeline(() -> HelloHandler.dialling(hello(Role.DESTINATION)), () -> destination));
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
  void oneLookoutHearsOfSeveralChannels() throws Exception {
    dial();
    Heard atSource = new Heard();
    Heard atDestination = new Heard();
    lookout.add(got(source).watched(atSource));
    lookout.add(got(destination).watched(atDestination));

    got(destination).request(7, 0x3000, 1);
    got(destination).flush();
    String asked = atSource.next();
    got(source).write(out -> out.zero(7, 0x3000, 1));
    got(source).flush();

    assertThat(asked).isEqualTo("request 7 0x3000 1");
    assertThat(atDestination.next()).isEqualTo(new PageAnswer.Zero(7, 0x3000, 1).toString());
  }

  /** Longer than anybody looks without sleeping, and than an end may go unnoticed. */
  @Test
  void aSleepingLookoutIsWokenByWhatComes() throws Exception {
    dial();
    Heard atSource = new Heard();
    lookout.add(got(source).watched(atSource));
    Thread.sleep(120);

    got(destination).request(7, 0x3000, 1);
    got(destination).flush();

    assertThat(atSource.next()).isEqualTo("request 7 0x3000 1");
  }

  @Test
  void theEndOfAWatchedChannelIsToldAndTheOthersAreWatchedOn() throws Exception {
    dial();
    Heard first = new Heard();
    lookout.add(got(source).watched(first));
    got(destination).close();
    Throwable end = first.end.get(PATIENCE_SECONDS, SECONDS);

    source = new CompletableFuture<>();
    destination = new CompletableFuture<>();
    dial();
    Heard second = new Heard();
    lookout.add(got(source).watched(second));
    got(destination).request(8, 0x4000, 1);
    got(destination).flush();

    assertThat(end).isInstanceOf(NobodySaidAnything.class);
    assertThat(second.next()).isEqualTo("request 8 0x4000 1");
  }

  @Test
  void whatIsWatchedEndsWithItsLookout() throws Exception {
    dial();
    Heard atSource = new Heard();
    lookout.add(got(source).watched(atSource));

    lookout.end();

    assertThat(atSource.end).isDone();
    assertThat(got(source).end().toCompletableFuture()).isDone();
  }

  @Test
  void whatComesToALookoutThatHasEndedEndsAtOnce() throws Exception {
    dial();
    Heard atSource = new Heard();
    lookout.end();

    lookout.add(got(source).watched(atSource));

    assertThat(atSource.end).isDone();
  }

  @Test
  void aClosedChannelIsNotWatched() throws Exception {
    dial();
    Heard atSource = new Heard();
    got(source).close();

    Watched closed = got(source).watched(atSource);
    lookout.add(closed);

    assertThat(closed.isOver()).isTrue();
    assertThat(atSource.end).isDone();
  }

  @Test
  void whatAWatchedChannelCannotReadEndsItAndIsTheCause() throws Exception {
    Channel raw = rawDestination();
    Heard atSource = new Heard();
    lookout.add(got(source).watched(atSource));

    raw.writeAndFlush(new PageRequest(3, 0x8000, 2)).sync();
    String first = atSource.next();
    raw.pipeline().firstContext().writeAndFlush(Unpooled.directBuffer().writeZero(64)).sync();

    assertThat(first).isEqualTo("request 3 0x8000 2");
    assertThat(atSource.end.get(PATIENCE_SECONDS, SECONDS))
        .isInstanceOf(TransmissionException.class);
  }

  @Test
  void bytesThatNettyHadReadAlreadyGoAlong() throws Exception {
    Channel raw = rawDestination();

    raw.writeAndFlush(new PageRequest(3, 0x8000, 2)).sync();
    Heard atSource = new Heard();
    got(source).start("source", atSource);

    assertThat(atSource.next()).isEqualTo("request 3 0x8000 2");
  }

  /** What one read brings: the Hello, whole frames and a part of one. */
  @Test
  void bytesThatCameTogetherWithTheHelloGoAlong() throws Exception {
    Channel raw =
        transport.connect(
            (InetSocketAddress) listening.localAddress(),
            new ChannelInitializer<>() {
              @Override
              protected void initChannel(Channel channel) {
                channel.pipeline().addLast(new FrameEncoder());
              }
            });
    ByteBuf together = Unpooled.directBuffer();
    FrameWriter frames = new FrameWriter(together);
    frames.frame(new ControlFrame(hello(Role.DESTINATION)));
    frames.request(4, 0x8000, 2);
    frames.request(5, 0xa000, 1);
    int lastBytes = 6; // of the last frame's header
    ByteBuf half = together.readRetainedSlice(together.readableBytes() - lastBytes);

    raw.writeAndFlush(half).sync();
    Heard atSource = new Heard();
    got(source).start("source", atSource);
    String first = atSource.next();
    raw.writeAndFlush(together).sync();

    assertThat(first).isEqualTo("request 4 0x8000 2");
    assertThat(atSource.next()).isEqualTo("request 5 0xa000 1");
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

  /** What arrived in staging memory: where, and the first byte of each page. */
  private static final class Staged implements PageChannel.Reactions {
    final BlockingQueue<String> words = new LinkedBlockingQueue<>();
    final BlockingQueue<Long> addresses = new LinkedBlockingQueue<>();

    @Override
    public void arrived(FrameScanner frames) {
      while (frames.next()) {
        if (frames.isPages()) {
          addresses.add(frames.bodyAddress());
          words.add("0x%x+%d".formatted(frames.guestPhysicalAddress(), frames.pageCount()));
        } else {
          words.add(frames.frame().map(f -> f.getClass().getSimpleName()).orElse("skipped"));
        }
      }
    }

    @Override
    public void ended(Throwable cause) {
      words.add("ended " + cause);
    }

    List<String> next(int count) throws InterruptedException {
      List<String> next = new ArrayList<>();
      for (int i = 0; i < count; i++) {
        next.add(words.poll(PATIENCE_SECONDS, SECONDS));
      }
      return next;
    }
  }

  @Test
  void aStagedHugePageBeginsAtOneWhateverCameBefore() throws Exception {
    dial();
    Staged atDestination = new Staged();
    got(destination).startStaged("destination", atDestination);
    ByteBuf pages = Unpooled.directBuffer().writeZero(512 * Pages.SIZE_BYTES);

    got(source).write(out -> out.zero(0, 0x1000, 1));
    boolean first = got(source).sendPages(0x2000, 3, pages, Pages.SIZE_BYTES);
    boolean second = got(source).sendPages(0x20_0000, 512, pages, 0);
    got(source).write(out -> out.frame(new StreamEnd()));
    got(source).flush();
    List<String> words = atDestination.next(4);
    pages.release();

    assertThat(first && second).isTrue();
    assertThat(words).containsExactly("Zero", "0x2000+3", "0x200000+512", "StreamEnd");
    assertThat(atDestination.addresses).hasSize(2);
    assertThat(atDestination.addresses.toArray(Long[]::new)[1] % StagingMemory.BODY_BYTES).isZero();
  }

  @Test
  void theBytesOfMixedPagesBeginAtAHugePageToo() throws Exception {
    dial();
    BlockingQueue<MixedPages> mixed = new LinkedBlockingQueue<>();
    got(destination)
        .startStaged(
            "destination",
            new PageChannel.Reactions() {
              @Override
              public void arrived(FrameScanner frames) {
                while (frames.next()) {
                  if (frames.isMixed()) {
                    mixed.add(frames.mixed());
                  }
                }
              }

              @Override
              public void ended(Throwable cause) {}
            });
    int bodyBytes = MixedPages.BITS_BYTES + 300 * Pages.SIZE_BYTES;
    ByteBuf body = Unpooled.directBuffer(bodyBytes).writeZero(bodyBytes);
    for (int i = 0; i < 300; i++) {
      body.setByte(i / 8, body.getByte(i / 8) | 1 << i % 8);
    }

    got(source).write(out -> out.zero(0, 0x1000, 1));
    boolean first = got(source).sendMixed(0x20_0000, 512, body, 0, bodyBytes);
    boolean second = got(source).sendMixed(0x40_0000, 512, body, 0, bodyBytes);
    body.release();

    assertThat(got(source).takesMixed()).isTrue();
    assertThat(first && second).isTrue();
    for (long address : new long[] {0x20_0000, 0x40_0000}) {
      MixedPages pages = mixed.poll(PATIENCE_SECONDS, SECONDS);
      assertThat(pages.guestPhysicalAddress()).isEqualTo(address);
      assertThat(pages.dataPages()).isEqualTo(300);
      assertThat(pages.address() % StagingMemory.BODY_BYTES).isZero();
    }
  }

  /** What every frame of pages was, and whether its bytes were right while they were there. */
  private static final class Mixture implements PageChannel.Reactions {
    final BlockingQueue<String> words = new LinkedBlockingQueue<>();

    @Override
    public void arrived(FrameScanner frames) {
      while (frames.next()) {
        words.add(frames.isPages() ? pages(frames) : "other");
      }
    }

    private static String pages(FrameScanner frames) {
      NativeMemory bytes =
          NativeMemory.at(frames.bodyAddress(), frames.pageCount() * Pages.SIZE_BYTES);
      for (int page = 0; page < frames.pageCount(); page++) {
        long number = frames.guestPhysicalAddress() / Pages.SIZE_BYTES + page;
        if (bytes.getLong(page * Pages.SIZE_BYTES) != number
            || bytes.getLong((page + 1) * Pages.SIZE_BYTES - Long.BYTES) != ~number) {
          return "page " + number + " is wrong";
        }
      }
      boolean movable = frames.bodyAddress() % StagingMemory.BODY_BYTES == 0;
      return movable || frames.pageCount() < 512 ? "right" : "askew";
    }

    @Override
    public void ended(Throwable cause) {
      words.add("ended " + cause);
    }
  }

  @Test
  void framesOfAllSizesCrossInAnyOrder() throws Exception {
    dial();
    Mixture atDestination = new Mixture();
    got(destination).startStaged("destination", atDestination);
    Random random = new Random(41);
    ByteBuf pages = Unpooled.directBuffer(512 * Pages.SIZE_BYTES);
    int[] sizes = {1, 1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 200, 511, 512, 512};
    int frames = 300;
    for (int i = 0; i < frames; i++) {
      int count = sizes[random.nextInt(sizes.length)];
      int first = random.nextInt(1 << 20);
      for (int page = 0; page < count; page++) {
        pages.setLongLE(page * Pages.SIZE_BYTES, first + page);
        pages.setLongLE((page + 1) * Pages.SIZE_BYTES - Long.BYTES, ~(long) (first + page));
      }
      got(source).sendPages((long) first * Pages.SIZE_BYTES, count, pages, 0);
      if (random.nextInt(3) == 0) {
        got(source).flush();
      }
    }
    got(source).flush();
    pages.release();

    for (int i = 0; i < frames; i++) {
      assertThat(atDestination.words.poll(PATIENCE_SECONDS, SECONDS))
          .as("frame %d", i)
          .isEqualTo("right");
    }
  }

  @Test
  void pagesThatChangedOnTheWayAreNotTakenFromStaging() throws Exception {
    dial();
    Staged atDestination = new Staged();
    got(destination).startStaged("destination", atDestination);
    got(source)
        .write(
            out -> {
              out.roomForData(Pages.SIZE_BYTES);
              ByteBuffer bytes =
                  out.inRoom(Pages.SIZE_BYTES).slice(); // the writer goes on with its own
              out.data(0, 0x3000, 1);
              bytes.put(17, (byte) (bytes.get(17) ^ 1));
            });
    got(source).flush();

    assertThat(atDestination.next(1)).containsExactly("Damaged");
  }

  @Test
  void nothingIsSentOnAConnectionThatHasEnded() throws Exception {
    dial();
    got(destination).startStaged("destination", new Staged());
    got(source).end().toCompletableFuture().get(PATIENCE_SECONDS, SECONDS);
    ByteBuf page = Unpooled.directBuffer().writeZero(Pages.SIZE_BYTES);

    boolean sent = got(source).sendPages(0, 1, page, 0);
    page.release();

    assertThat(sent).isFalse();
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
  void aFrameThatStagingHasNoRoomForEndsTheConnectionBeforeItsBodyIsReceived() throws Exception {
    dial();
    Heard atDestination = new Heard();
    got(destination).startStaged("destination", atDestination);
    GuestLayout layout = new GuestLayout("vm", List.of(new GuestRegion(0, Pages.SIZE_BYTES, 0)));
    ControlMessage tooLong = new ControlMessage.GuestOffer(layout, new byte[3 << 20]);

    got(source).write(out -> out.frame(new ControlFrame(tooLong)));
    got(source).flush();

    assertThat(atDestination.end.get(PATIENCE_SECONDS, SECONDS))
        .isInstanceOf(ProtocolException.class)
        .hasMessage(
            "a frame with a body of more than 2097152 bytes came on a connection for pages");
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
