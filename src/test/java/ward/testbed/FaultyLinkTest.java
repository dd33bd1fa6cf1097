package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketException;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.testbed.Fault.AtByte;
import ward.testbed.Fault.Flip;
import ward.testbed.Fault.InBody;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage.Hello;
import ward.wire.Frame;
import ward.wire.FrameEncoder;
import ward.wire.PageAnswer;
import ward.wire.ProtocolVersion;
import ward.wire.Role;

@Timeout(60)
class FaultyLinkTest {

  private static final LinkDirection ANSWERS = LinkDirection.TO_DESTINATION;

  private ServerSocket source;
  private FaultyLink link;

  @BeforeEach
  void openLink() throws IOException {
    source = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
    link = new FaultyLink(new InetSocketAddress(source.getInetAddress(), source.getLocalPort()));
  }

  @AfterEach
  void closeLink() throws IOException {
    link.close();
    source.close();
  }

  /** Both ends of a connection through the link, the Hello already heard. */
  private record Pair(Socket destination, Socket source) implements AutoCloseable {
    @Override
    public void close() throws IOException {
      destination.close();
      source.close();
    }
  }

  private Pair connect(ConnectionKind kind) throws IOException {
    Socket destination = new Socket(link.address().getAddress(), link.address().getPort());
    Socket accepted = source.accept();
    byte[] greeting = greeting(kind);
    destination.getOutputStream().write(greeting);
    assertArrayEquals(greeting, accepted.getInputStream().readNBytes(greeting.length));
    return new Pair(destination, accepted);
  }

  /** The preface and a Hello. */
  private static byte[] greeting(ConnectionKind kind) {
    UUID session = new UUID(1, 2);
    return encoded(
        new ControlFrame(
            new Hello(Role.DESTINATION, kind, session, 1, ProtocolVersion.OURS, "pluto")));
  }

  /** The preface and frames, as Ward sends them. */
  private static byte[] encoded(Frame... frames) {
    EmbeddedChannel channel = new EmbeddedChannel(new FrameEncoder());
    channel.writeOutbound((Object[]) frames);
    ByteArrayOutputStream bytes = new ByteArrayOutputStream();
    for (ByteBuf part = channel.readOutbound(); part != null; part = channel.readOutbound()) {
      byte[] piece = new byte[part.readableBytes()];
      part.readBytes(piece);
      bytes.writeBytes(piece);
      part.release();
    }
    channel.finish();
    return bytes.toByteArray();
  }

  private static Frame data(int pages) {
    return new PageAnswer.Data(0, 0, pages, Unpooled.wrappedBuffer(new byte[pages * 4096]));
  }

  private static Fault once(ConnectionKind kind, Fault.Trigger trigger, Fault.Effect effect) {
    return new Fault(kind, ANSWERS, trigger, effect, 1);
  }

  /** Indexes of the bytes that arrived changed. */
  private static List<Integer> changes(Pair pair, byte[] sent) throws IOException {
    pair.source().getOutputStream().write(sent);
    byte[] arrived = pair.destination().getInputStream().readNBytes(sent.length);
    assertEquals(sent.length, arrived.length);
    return java.util.stream.IntStream.range(0, sent.length)
        .filter(i -> sent[i] != arrived[i])
        .boxed()
        .toList();
  }

  @Test
  void withoutAFaultEveryByteArrivesInBothDirections() throws IOException {
    byte[] bytes = encoded(data(512), data(100), data(1));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      assertThat(changes(pair, bytes)).isEmpty();
      pair.destination().getOutputStream().write(bytes);
      assertArrayEquals(bytes, pair.source().getInputStream().readNBytes(bytes.length));
    }
  }

  @Test
  void whoDoesNotSpeakWardIsCarriedToo() throws IOException {
    try (Socket stranger = new Socket(link.address().getAddress(), link.address().getPort());
        Socket accepted = source.accept()) {
      stranger.getOutputStream().write("GET / HTTP/1.1".getBytes());
      stranger.shutdownOutput();

      assertThat(accepted.getInputStream().readAllBytes()).isEqualTo("GET / HTTP/1.1".getBytes());
    }
  }

  @Test
  void aBitFlipsAtItsByteOnItsKindOfConnectionAndNoMoreOftenThanItMay() throws IOException {
    link.inject(once(ConnectionKind.URGENT, new AtByte(100), new Flip(7)));
    byte[] bytes = encoded(data(3));

    try (Pair stream = connect(ConnectionKind.STREAM);
        Pair urgent = connect(ConnectionKind.URGENT);
        Pair another = connect(ConnectionKind.URGENT)) {
      assertThat(changes(stream, bytes)).isEmpty();
      assertThat(changes(urgent, bytes)).containsExactly(100);
      assertThat(changes(another, bytes)).isEmpty();
    }
    assertThat(link.counts()).containsEntry("Flip", 1L).containsEntry("Connection", 3L);
  }

  @Test
  void aBitFlipsInsideTheBodiesOfItsKindOfFrameHoweverTheyAreCut() throws IOException {
    link.inject(
        new Fault(null, ANSWERS, new InBody(Fault.DATA, 2, 4100), new Flip(0), Fault.ALWAYS));
    byte[] bytes =
        encoded(
            data(2),
            data(2),
            new PageAnswer.Zero(0, 0, 9),
            data(1), // too short
            data(300));
    int secondBody = 8 + 36 + 8192 + 36;
    int lastBody = secondBody + 8192 + 36 + 36 + 4096 + 36;

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      assertThat(changes(pair, bytes)).containsExactly(secondBody + 4100, lastBody + 4100);
    }
  }

  @Test
  void severalFaultsAtOneByteAllHappen() throws IOException {
    link.inject(once(null, new AtByte(50), new Flip(0)));
    link.inject(once(null, new AtByte(50), new Fault.Stall(Duration.ofMillis(50))));
    link.inject(once(null, new AtByte(50), new Flip(1)));
    byte[] bytes = encoded(data(1));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      assertThat(changes(pair, bytes)).containsExactly(50);
    }
    assertThat(link.counts()).containsEntry("Flip", 2L).containsEntry("Stall", 1L);
  }

  @Test
  void aResetComesInFrontOfItsByteAndReachesBothEnds() throws IOException {
    link.inject(once(null, new AtByte(1000), new Fault.Reset()));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      pair.source().getOutputStream().write(encoded(data(1)));

      assertThatThrownBy(() -> pair.destination().getInputStream().readNBytes(1001))
          .isInstanceOf(SocketException.class);
      assertThatThrownBy(() -> pair.source().getInputStream().read())
          .isInstanceOf(SocketException.class);
    }
  }

  @Test
  void aResetOfAllReachesConnectionsThatAreIdle() throws IOException {
    link.inject(once(ConnectionKind.STREAM, new AtByte(10), new Fault.ResetAll()));

    try (Pair idle = connect(ConnectionKind.CONTROL);
        Pair stream = connect(ConnectionKind.STREAM)) {
      stream.source().getOutputStream().write(encoded(data(1)));

      assertThatThrownBy(() -> idle.destination().getInputStream().read())
          .isInstanceOf(SocketException.class);
      assertThatThrownBy(() -> idle.source().getInputStream().read())
          .isInstanceOf(SocketException.class);
    }
    assertEquals(1, link.count(Fault.ResetAll.class));
  }

  @Test
  void aCutEndsOneDirectionInAnOrderlyWayAndTheOtherGoesOn() throws IOException {
    link.inject(once(null, new AtByte(1000), new Fault.Cut()));
    byte[] bytes = encoded(data(1));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      pair.source().getOutputStream().write(bytes);

      assertArrayEquals(
          Arrays.copyOf(bytes, 1000), pair.destination().getInputStream().readAllBytes());
      pair.destination().getOutputStream().write(bytes);
      assertArrayEquals(bytes, pair.source().getInputStream().readNBytes(bytes.length));
    }
  }

  @Test
  void aStallHoldsItsByteBackAndNoneBeforeIt() throws IOException {
    link.inject(once(null, new AtByte(100), new Fault.Stall(Duration.ofMillis(500))));
    byte[] bytes = encoded(data(1));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      long start = System.nanoTime();
      pair.source().getOutputStream().write(bytes);
      pair.destination().getInputStream().readNBytes(100);
      pair.destination().getInputStream().readNBytes(bytes.length - 100);

      assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(500_000_000L);
    }
  }

  @Test
  void aDelayHoldsEveryChunkBackUntilTheLinkIsHealed() throws IOException {
    link.delay(Duration.ofMillis(300));
    byte[] bytes = encoded(data(1));

    try (Pair pair = connect(ConnectionKind.STREAM)) {
      long start = System.nanoTime();
      changes(pair, bytes);
      assertThat(System.nanoTime() - start).isGreaterThanOrEqualTo(300_000_000L);
      link.heal();
      assertThat(changes(pair, bytes)).isEmpty();
    }
  }

  @Test
  void whileItRefusesNobodyGetsInAndWhoIsInStays() throws IOException {
    try (Pair inside = connect(ConnectionKind.CONTROL)) {
      link.refuse();

      assertThatThrownBy(() -> connect(ConnectionKind.URGENT)).isInstanceOf(ConnectException.class);
      assertThat(changes(inside, encoded(data(1)))).isEmpty();

      link.accept();
      connect(ConnectionKind.URGENT).close();
    }
  }

  @Test
  void itRefusesForATimeAndThenNoMore() throws IOException {
    link.refuseFor(Duration.ofMillis(300));

    assertThatThrownBy(() -> connect(ConnectionKind.URGENT)).isInstanceOf(ConnectException.class);
    Deadline deadline = new Deadline(Duration.ofSeconds(30));
    deadline.await("the link to accept again", this::isAccepting);
  }

  private boolean isAccepting() {
    try {
      connect(ConnectionKind.URGENT).close();
      return true;
    } catch (IOException refused) {
      return false;
    }
  }

  @Test
  void aSourceThatIsGoneIsAResetForWhoeverComes() throws IOException {
    source.close();

    try (Socket destination = new Socket(link.address().getAddress(), link.address().getPort())) {
      assertThatThrownBy(() -> destination.getInputStream().read())
          .isInstanceOf(SocketException.class);
    }
  }

  @Test
  void theSameSeedDrawsTheSameFaultsAndAnotherOneOthers() {
    List<Fault> faults = Fault.draw(7, 50, 1 << 24);

    assertEquals(faults, Fault.draw(7, 50, 1 << 24));
    assertThat(Fault.draw(8, 50, 1 << 24)).isNotEqualTo(faults);
    assertThat(faults.stream().map(fault -> fault.effect().name()).distinct())
        .contains("Flip", "Reset", "ResetAll", "Cut", "Stall");
    assertThat(faults.stream().map(Fault::kind).distinct()).hasSize(3);
  }
}
