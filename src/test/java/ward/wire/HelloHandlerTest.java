package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;

class HelloHandlerTest {

  private static final ProtocolVersion OTHER_MAJOR = new ProtocolVersion(2, 3);

  private final WireBytes wire = new WireBytes();
  private final Session session = new Session();

  @AfterEach
  void nothingLeaks() {
    assertEquals(0, wire.unreleasedBytes());
  }

  /** Remembers what it is told, in order. */
  private static final class Session extends ChannelInboundHandlerAdapter {

    final List<Object> told = new ArrayList<>();
    final List<Throwable> failures = new ArrayList<>();

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      told.add(event);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      told.add(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      failures.add(cause);
    }
  }

  private static Hello ours() {
    return new Hello(
        Role.DESTINATION,
        ConnectionKind.CONTROL,
        Messages.SESSION,
        1,
        ProtocolVersion.OURS,
        "venus.example");
  }

  private EmbeddedChannel accepting(Optional<Refusal> verdict) {
    return channel(HelloHandler.accepting(peer -> verdict, peer -> ours()));
  }

  private EmbeddedChannel dialling() {
    EmbeddedChannel channel = channel(HelloHandler.dialling(ours()));
    assertEquals(ours(), sent(channel));
    return channel;
  }

  private EmbeddedChannel channel(HelloHandler hello) {
    EmbeddedChannel channel = wire.channel();
    WardPipeline.install(channel, hello, session);
    ByteBuf preface = channel.readOutbound();
    assertEquals(Preface.BYTES, preface.readableBytes());
    preface.release();
    channel.writeInbound(wire.preface());
    return channel;
  }

  private void receive(EmbeddedChannel channel, Frame... frames) {
    ByteBuf all = wire.direct(1 << 16);
    for (Frame frame : frames) {
      ByteBuf bytes = wire.encoded(frame);
      all.writeBytes(bytes);
      bytes.release();
    }
    channel.writeInbound(all);
  }

  private static ControlFrame hello(ProtocolVersion version) {
    return new ControlFrame(Messages.hello(version));
  }

  /** The one control message that the channel has sent since it was last asked. */
  private ControlMessage sent(EmbeddedChannel channel) {
    ByteBuf bytes = channel.readOutbound();
    EmbeddedChannel peer = wire.decoder();
    peer.writeInbound(bytes);
    ControlFrame frame = peer.readInbound();
    peer.finish();
    return frame.message();
  }

  private <T extends Throwable> T failure(Class<T> type) {
    assertThat(session.failures).hasSize(1);
    return assertInstanceOf(type, session.failures.get(0));
  }

  @Test
  void theAcceptingSideAnswersAndLeavesThePipeline() {
    EmbeddedChannel channel = accepting(Optional.empty());

    receive(channel, hello(ProtocolVersion.OURS), new StreamEnd());

    assertEquals(ours(), sent(channel));
    assertEquals(
        List.of(new HelloCompleted(Messages.hello(ProtocolVersion.OURS)), new StreamEnd()),
        session.told);
    assertNull(channel.pipeline().get(HelloHandler.class));
    assertTrue(channel.isOpen());
    channel.finish();
  }

  @Test
  void theDiallingSideSpeaksFirstAndLeavesThePipeline() {
    EmbeddedChannel channel = dialling();

    receive(channel, hello(ProtocolVersion.OURS), new StreamEnd());

    assertNull(channel.readOutbound());
    assertEquals(
        List.of(new HelloCompleted(Messages.hello(ProtocolVersion.OURS)), new StreamEnd()),
        session.told);
    assertNull(channel.pipeline().get(HelloHandler.class));
    channel.finish();
  }

  @Test
  void theAcceptingSideRefusesAnotherMajorWithBothVersionsInTheText() {
    EmbeddedChannel channel = accepting(Optional.empty());

    receive(channel, hello(OTHER_MAJOR));

    Refusal refusal = assertInstanceOf(Refusal.class, sent(channel));
    assertEquals(Refusal.Code.VERSION, refusal.code());
    assertThat(refusal.reason()).contains("2.3", "1.1");
    assertThat(failure(PeerRefusedException.class)).hasMessageContainingAll("2.3", "1.1");
    assertFalse(channel.isOpen());
  }

  @Test
  void theDiallingSideRefusesAnotherMajorWithBothVersionsInTheText() {
    EmbeddedChannel channel = dialling();

    receive(channel, hello(OTHER_MAJOR));

    assertThat(((Refusal) sent(channel)).reason()).contains("2.3", "1.1");
    assertThat(failure(PeerRefusedException.class)).hasMessageContainingAll("2.3", "1.1");
    assertFalse(channel.isOpen());
  }

  @Test
  void theDiallingSideReportsThePeersRefusal() {
    EmbeddedChannel channel = dialling();
    Refusal refusal = new Refusal(Refusal.Code.VERSION, "we speak 2.3, you speak 1.0");

    receive(channel, new ControlFrame(refusal));

    PeerRefusedException failure = failure(PeerRefusedException.class);
    assertEquals(
        "local peer refused this connection (VERSION): we speak 2.3, you speak 1.0",
        failure.getMessage());
    assertEquals(refusal, failure.refusal());
    assertFalse(channel.isOpen());
  }

  @Test
  void aNewerMinorVersionIsNotRefused() {
    EmbeddedChannel channel = accepting(Optional.empty());

    receive(channel, hello(new ProtocolVersion(1, 8)));

    assertEquals(ours(), sent(channel));
    channel.finish();
  }

  @Test
  void thePeerHearsTheJudgesRefusalBeforeTheChannelCloses() {
    Refusal busy = new Refusal(Refusal.Code.BUSY, "another migration is under way");
    EmbeddedChannel channel = accepting(Optional.of(busy));

    receive(channel, hello(ProtocolVersion.OURS), new StreamEnd());

    assertEquals(busy, sent(channel));
    assertEquals(busy, failure(PeerRefusedException.class).refusal());
    assertEquals(List.of(), session.told);
    assertFalse(channel.isOpen());
  }

  @Test
  void aFrameBeforeTheHelloIsRefusedByItsNameAndReleased() {
    EmbeddedChannel channel = accepting(Optional.empty());

    receive(channel, new PageAnswer.Data(0, 0, 1, wire.zeros(4096)), new StreamEnd());

    assertThat(failure(ProtocolException.class))
        .hasMessage("local peer began with Data; a Hello must come first");
    assertFalse(channel.isOpen());
  }

  @Test
  void anotherMessageThanAHelloIsNoWayToBegin() {
    EmbeddedChannel channel = accepting(Optional.empty());

    receive(channel, new ControlFrame(new ControlMessage.StatusQuery()));

    assertThat(failure(ProtocolException.class)).hasMessageContaining("began with StatusQuery");
    assertFalse(channel.isOpen());
  }

  @Test
  void aPeerThatIsNotWardIsCutOff() {
    EmbeddedChannel channel = wire.channel();
    WardPipeline.install(
        channel, HelloHandler.accepting(peer -> Optional.empty(), peer -> ours()), session);

    channel.writeInbound(wire.direct(new byte[] {'G', 'E', 'T', ' '}));

    assertThat(failure(ProtocolException.class)).hasMessageEndingWith("began with 47 45 54 20");
    assertFalse(channel.isOpen());
    channel.releaseOutbound();
  }

  @Test
  void aSilentPeerIsCutOffAfterTenSeconds() {
    EmbeddedChannel channel = wire.channel();
    channel.freezeTime();
    WardPipeline.install(channel, HelloHandler.dialling(ours()), session);
    channel.releaseOutbound();

    channel.advanceTimeBy(9_999, TimeUnit.MILLISECONDS);
    channel.runScheduledPendingTasks();
    assertTrue(channel.isOpen());
    channel.advanceTimeBy(1, TimeUnit.MILLISECONDS);
    channel.runScheduledPendingTasks();

    assertThat(failure(IOException.class)).hasMessage("local peer sent no Hello within 10 s");
    assertFalse(channel.isOpen());
  }

  @Test
  void aPeerOfASlowHostIsGivenAsLongAsItWasSaid() {
    EmbeddedChannel channel = wire.channel();
    channel.freezeTime();
    HelloHandler patient = HelloHandler.dialling(ours()).within(Duration.ofMinutes(2));
    WardPipeline.install(channel, patient, session);
    channel.releaseOutbound();

    channel.advanceTimeBy(119, TimeUnit.SECONDS);
    channel.runScheduledPendingTasks();
    assertTrue(channel.isOpen());
    channel.advanceTimeBy(1, TimeUnit.SECONDS);
    channel.runScheduledPendingTasks();

    assertThat(failure(IOException.class)).hasMessage("local peer sent no Hello within 120 s");
    assertFalse(channel.isOpen());
  }

  @Test
  void theTimeoutEndsWithTheHello() {
    EmbeddedChannel channel = dialling();
    channel.freezeTime();
    receive(channel, hello(ProtocolVersion.OURS));

    channel.advanceTimeBy(1, TimeUnit.HOURS);
    channel.runScheduledPendingTasks();

    assertTrue(channel.isOpen());
    channel.finishAndReleaseAll();
  }

  @Test
  void aPeerThatLeavesWithoutAHelloIsNamed() {
    EmbeddedChannel channel = dialling();

    channel.close();

    assertThat(failure(IOException.class))
        .hasMessage("local peer closed the connection before it said Hello");
  }
}
