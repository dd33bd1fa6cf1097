package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import java.net.InetSocketAddress;
import java.net.SocketAddress;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.PageAnswer.Data;

class FrameDecoderTest {

  private static final long ADDRESS = 0x1_0000_0000L;

  private final WireBytes wire = new WireBytes();

  @AfterEach
  void nothingLeaks() {
    assertEquals(0, wire.unreleasedBytes());
  }

  static Stream<Frame> everyFrame() {
    return Stream.of(
        new ControlFrame(new ControlMessage.Farewell("bye", false)),
        new ControlFrame(new ControlMessage.Done()),
        new PageRequest(-1, ADDRESS, 512),
        new PageAnswer.Zero(0, 0, 1 << 20),
        new PageAnswer.Poisoned(9, 0, 9, Messages.entries(9)),
        new PageAnswer.NotYet(1, ADDRESS, 1),
        new PageAnswer.OutOfRange(2, (1L << 52) - 4096, 1),
        new PageAnswer.Failed(3, ADDRESS, 2, "read: EIO"),
        new PageAnswer.Failed(3, ADDRESS, 2, ""),
        new StreamEnd(),
        new Ping(),
        new Pong());
  }

  @ParameterizedTest
  @MethodSource("everyFrame")
  void everyFrameSurvivesTheWireInOnePiece(Frame frame) {
    EmbeddedChannel channel = wire.decoder();

    channel.writeInbound(wire.encoded(frame));

    assertEquals(frame, channel.readInbound());
    assertFalse(channel.finish());
  }

  @ParameterizedTest
  @MethodSource("everyFrame")
  void everyFrameSurvivesArrivingOneByteAtATime(Frame frame) {
    EmbeddedChannel channel = wire.decoder();

    writeByteByByte(channel, wire.encoded(frame));

    assertEquals(frame, channel.readInbound());
    assertFalse(channel.finish());
  }

  private static void writeByteByByte(EmbeddedChannel channel, ByteBuf bytes) {
    while (bytes.isReadable()) {
      assertNull(channel.readInbound(), "a frame before its last byte");
      channel.writeInbound(bytes.readRetainedSlice(1));
    }
    bytes.release();
  }

  @Test
  void dataSurvivesArrivingOneByteAtATime() {
    EmbeddedChannel channel = wire.decoder();

    writeByteByByte(channel, wire.encoded(new Data(7, ADDRESS, 1, numbered(1))));

    Data data = channel.readInbound();
    assertEquals(7, data.requestId());
    assertEquals(ADDRESS, data.guestPhysicalAddress());
    assertNumbered(data, 1);
    assertFalse(channel.finish());
  }

  @Test
  void thePrefaceMayArriveOneByteAtATime() {
    EmbeddedChannel channel = wire.channel(new FrameDecoder());

    writeByteByByte(channel, wire.preface());
    channel.writeInbound(wire.encoded(new StreamEnd()));

    assertEquals(new StreamEnd(), channel.readInbound());
    assertFalse(channel.finish());
  }

  @Test
  void dataThatComesInOneReadIsASliceOfThatRead() {
    EmbeddedChannel channel = wire.decoder();
    ByteBuf read = wire.encoded(new Data(0, ADDRESS, 2, numbered(2)));
    long bodyAddress = read.memoryAddress() + FrameHeader.BYTES;

    channel.writeInbound(read);

    Data data = channel.readInbound();
    assertTrue(data.body().isDirect());
    assertEquals(bodyAddress, data.body().memoryAddress());
    assertNumbered(data, 2);
    channel.finish();
  }

  @Test
  void dataThatComesInManyReadsIsOnePieceOfDirectMemoryInWhichTheNextFrameCannotWrite() {
    EmbeddedChannel channel = wire.decoder();
    ByteBuf stream = wire.direct(1 << 22);
    for (int i = 0; i < 3; i++) {
      append(stream, wire.encoded(new Data(i, ADDRESS, 300, numbered(300))));
    }

    while (stream.isReadable()) {
      channel.writeInbound(
          wire.direct(100_000).writeBytes(stream, Math.min(100_000, stream.readableBytes())));
    }
    stream.release();

    for (int i = 0; i < 3; i++) {
      Data data = channel.readInbound();
      assertEquals(i, data.requestId());
      assertTrue(data.body().isDirect() && data.body().hasMemoryAddress());
      assertNumbered(data, 300);
    }
    assertFalse(channel.finish());
  }

  private static void append(ByteBuf all, ByteBuf part) {
    all.writeBytes(part);
    part.release();
  }

  /** Pages in which every long is its own index, so that no two pages are alike. */
  private ByteBuf numbered(int pageCount) {
    ByteBuf body = wire.direct((int) Pages.bytes(pageCount));
    for (long i = 0; body.isWritable(); i++) {
      body.writeLongLE(i);
    }
    return body;
  }

  private static void assertNumbered(Data data, int pageCount) {
    assertEquals(pageCount, data.pageCount());
    assertEquals(Pages.bytes(pageCount), data.body().readableBytes());
    for (long i = 0; data.body().isReadable(); i++) {
      assertEquals(i, data.body().readLongLE());
    }
    data.body().release();
  }

  static Stream<Arguments> headersAtTheLimit() {
    return Stream.of(
        Arguments.of(FrameKind.MESSAGE, 4 << 20, 0L, 0L),
        Arguments.of(FrameKind.REQUEST, 0, 0L, 512L),
        Arguments.of(FrameKind.DATA, 512 * 4096, ADDRESS, 512L),
        Arguments.of(FrameKind.ZERO, 0, 0L, 1L << 20),
        Arguments.of(FrameKind.ZERO, 0, (1L << 52) - (1L << 32), 1L << 20),
        Arguments.of(FrameKind.POISONED, 64 << 10, 0L, 1L << 20),
        Arguments.of(FrameKind.NOT_YET, 0, 0L, 1L << 20),
        Arguments.of(FrameKind.OUT_OF_RANGE, 0, 0L, 1L << 20),
        Arguments.of(FrameKind.FAILED, 1024, 0L, 1L << 20),
        Arguments.of(FrameKind.STREAM_END, 0, 0L, 0L),
        Arguments.of(FrameKind.MIXED, 64 + 511 * 4096, ADDRESS, 512L));
  }

  @ParameterizedTest
  @MethodSource("headersAtTheLimit")
  void aHeaderAtItsLimitIsBelieved(FrameKind kind, int bodyBytes, long address, long pages) {
    headerOf(kind, bodyBytes, address, pages).requireAllowed(kind);
  }

  @ParameterizedTest
  @MethodSource("headersAtTheLimit")
  void aBodyOneByteBeyondTheLimitIsRefusedBeforeItArrives(
      FrameKind kind, int bodyBytes, long address, long pages) {
    String text = refused(headerOf(kind, bodyBytes + 1, address, pages));

    assertThat(text).contains(kind + " with a body of %d bytes; at most".formatted(bodyBytes + 1));
  }

  @ParameterizedTest
  @MethodSource("headersAtTheLimit")
  void onePageBeyondTheLimitIsRefused(FrameKind kind, int bodyBytes, long address, long pages) {
    assertThat(refused(headerOf(kind, bodyBytes, address, pages + 1)))
        .contains(kind + " ", "%d pages".formatted(pages + 1));
  }

  private static FrameHeader headerOf(FrameKind kind, int bodyBytes, long address, long pages) {
    long requestId = kind.hasRange() ? 7 : 0;
    return WireBytes.header(kind.number(), bodyBytes, address, pages, requestId);
  }

  @Test
  void theLargestLengthsDoNotTurnNegative() {
    assertThat(refused(headerOf(FrameKind.MESSAGE, -1, 0, 0)))
        .isEqualTo("local peer: MESSAGE with a body of 4294967295 bytes; at most 4194304");
    assertThat(refused(headerOf(FrameKind.ZERO, 0, 0, 0xFFFF_FFFFL)))
        .isEqualTo("local peer: ZERO of 4294967295 pages; 1 to 1048576 are allowed");
  }

  @ParameterizedTest
  @ValueSource(longs = {0x1001, -4096, 1L << 52, Long.MIN_VALUE})
  void anAddressThatIsUnalignedOrAbove2ToThe52IsRefused(long address) {
    assertThat(refused(headerOf(FrameKind.REQUEST, 0, address, 1)))
        .contains("REQUEST of 1 pages at 0x%x".formatted(address), "below 2^52");
  }

  @Test
  void noPagesAreRefusedWherePagesAreMeant() {
    assertThat(refused(headerOf(FrameKind.REQUEST, 0, 0, 0)))
        .contains("REQUEST of 0 pages; 1 to 512 are allowed");
  }

  @Test
  void dataMustHaveExactlyItsPagesBytes() {
    assertThat(refused(headerOf(FrameKind.DATA, 4096, 0, 2)))
        .contains("DATA of 2 pages with a body of 4096 bytes; 8192 are needed");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 63, 64, 64 + 4095, 64 + 4096 + 1, 64 + 3 * 4096})
  void mixedPagesMustHaveTheBytesOfSomeOfThem(int bodyBytes) {
    assertThat(refused(headerOf(FrameKind.MIXED, bodyBytes, 0, 3)))
        .contains(
            "MIXED of 3 pages with %d bytes of content; those of 1 to 2 pages are allowed"
                .formatted(bodyBytes - 64));
  }

  @Test
  void mixedPagesAreForAStreamOnly() {
    byte[] body = new byte[64 + 4096];
    FrameHeader header =
        FrameHeader.of(FrameKind.MIXED, new PageRequest(0, ADDRESS, 2), ByteBuffer.wrap(body));
    EmbeddedChannel channel = wire.decoder();

    assertThatThrownBy(() -> channel.writeInbound(wire.frame(header, body)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining(
            "MIXED of 2 pages at 0x%x; it belongs on a STREAM".formatted(ADDRESS));
  }

  @Test
  void aStreamEndWithARequestIdIsRefused() {
    assertThat(refused(WireBytes.header(FrameKind.STREAM_END.number(), 0, 0, 0, -1)))
        .contains("STREAM_END with address 0x0, 0 pages, request 18446744073709551615");
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 13, 255})
  void anUnknownKindOfTheSameMinorVersionIsRefused(int kind) {
    assertThat(refused(WireBytes.header(kind, 0, 0, 0, 0)))
        .isEqualTo("local peer: frame of kind %d; protocol 1.1 has kinds 1 to 12".formatted(kind));
  }

  @Test
  void anUnknownKindOfANewerMinorVersionIsSkippedWithItsBody() {
    EmbeddedChannel channel = wire.decoderOf(new ProtocolVersion(1, 2));

    channel.writeInbound(wire.frame(WireBytes.header(77, 1 << 20, -1, 9, 9), new byte[1 << 20]));
    channel.writeInbound(wire.encoded(new StreamEnd()));

    assertEquals(new StreamEnd(), channel.readInbound());
    assertFalse(channel.finish());
  }

  @Test
  void anUnknownKindOfANewerMinorVersionMayNotBeLongerThanOneMib() {
    EmbeddedChannel channel = wire.decoderOf(new ProtocolVersion(1, 2));

    assertThat(refused(channel, WireBytes.header(77, (1 << 20) + 1, 0, 0, 0)))
        .contains("unknown kind 77 with a body of 1048577 bytes; at most 1048576");
  }

  @ParameterizedTest
  @ValueSource(longs = {1, 0x80, 1 << 8, 1 << 23})
  void aReservedBitIsRefusedFromOurVersionAndIgnoredFromANewerOne(long bits) {
    EmbeddedChannel same = wire.decoder();
    EmbeddedChannel newer = wire.decoderOf(new ProtocolVersion(1, 9));
    var header = new FrameHeader(0, FrameKind.STREAM_END.number(), bits, 0, 0, 0, 0);

    newer.writeInbound(wire.frame(header, new byte[0]));
    ByteBuf bytes = wire.frame(header, new byte[0]);
    var e = assertThrows(ProtocolException.class, () -> same.writeInbound(bytes));

    assertEquals(new StreamEnd(), newer.readInbound());
    assertThat(e)
        .hasMessageContaining("reserved bits 0x%x".formatted(bits))
        .hasMessageContaining("protocol 1.1");
    newer.finish();
    same.finish();
  }

  @Test
  void nothingBehindAViolationIsRead() {
    EmbeddedChannel channel = wire.decoder();
    refusedKeepingOpen(channel, WireBytes.header(99, 0, 0, 0, 0));

    assertFalse(channel.writeInbound(wire.encoded(new StreamEnd())));
    assertFalse(channel.finish());
  }

  private String refused(FrameHeader header) {
    return refused(wire.decoder(), header);
  }

  private String refused(EmbeddedChannel channel, FrameHeader header) {
    String text = refusedKeepingOpen(channel, header);
    assertFalse(channel.finish());
    return text;
  }

  private String refusedKeepingOpen(EmbeddedChannel channel, FrameHeader header) {
    ByteBuf bytes = wire.frame(header, new byte[0]);
    return assertThrows(ProtocolException.class, () -> channel.writeInbound(bytes)).getMessage();
  }

  @Test
  void aPoisonedAnswerMustLoseAPageOfItsRange() {
    byte[] body = poisonedBody(Messages.entry(3));

    assertThat(refusedPoisoned(0, body))
        .contains("POISONED for 3 pages at 0x0 with an entry at 0x3000 of 0x1000 bytes, outside");
    assertThat(refusedPoisoned(0x4000, body)).contains("entry at 0x3000");
  }

  @Test
  void aPoisonedAnswerMaySpeakOfALargerExtentThanItsRange() {
    var huge = new PoisonEntry(0, 30, Severity.ACTION_REQUIRED, Messages.entry(0).origin());
    var frame = new PageAnswer.Poisoned(1, 0x3FFF_F000, 1, List.of(huge));
    EmbeddedChannel channel = wire.decoder();

    channel.writeInbound(wire.encoded(frame));

    assertEquals(frame, channel.readInbound());
    channel.finish();
  }

  @Test
  void aPoisonedAnswerWithoutEntriesIsRefused() {
    assertThat(refusedPoisoned(0, new byte[0])).contains("POISONED with 0 entries; 1 to 4096");
  }

  @Test
  void aPoisonedAnswerThatIsNotProtobufIsRefused() {
    assertThat(refusedPoisoned(0, new byte[] {(byte) 0xFF, (byte) 0xFF}))
        .contains("POISONED of 2 bytes is not a list of poison");
  }

  private static byte[] poisonedBody(PoisonEntry entry) {
    return ward.wire.proto.WireProto.PoisonedPages.newBuilder()
        .setEntries(PoisonEntries.toProto(List.of(entry)))
        .build()
        .toByteArray();
  }

  private String refusedPoisoned(long address, byte[] body) {
    EmbeddedChannel channel = wire.decoder();
    ByteBuf bytes = wire.frame(WireBytes.header(FrameKind.POISONED, body.length, address, 3), body);
    var e = assertThrows(ProtocolException.class, () -> channel.writeInbound(bytes));
    channel.finish();
    return e.getMessage();
  }

  @Test
  void aConnectionThatEndsInsideABodySaysHowMuchCame() {
    EmbeddedChannel channel = wire.decoder();
    channel.writeInbound(wire.frame(WireBytes.header(FrameKind.DATA, 8192, 0, 2), new byte[100]));

    var e = assertThrows(TransmissionException.class, channel::finish);

    assertEquals(
        "local peer: the connection ended inside DATA: 100 of 8192 body bytes came",
        e.getMessage());
  }

  @Test
  void aConnectionThatEndsInsideAHeaderSaysHowMuchCame() {
    EmbeddedChannel channel = wire.decoder();
    channel.writeInbound(wire.zeros(31));

    var e = assertThrows(TransmissionException.class, channel::finish);

    assertThat(e).hasMessageEndingWith("inside a frame's header: 31 of 36 bytes came");
  }

  @Test
  void aConnectionThatEndsInsideThePrefaceSaysHowMuchCame() {
    EmbeddedChannel channel = wire.channel(new FrameDecoder());
    channel.writeInbound(wire.direct(new byte[] {'W', 'A'}));

    var e = assertThrows(TransmissionException.class, channel::finish);

    assertThat(e).hasMessageEndingWith("inside the preface: 2 of 8 bytes came");
  }

  @Test
  void aConnectionThatEndsBetweenFramesIsNoError() {
    assertFalse(wire.decoder().finish());
  }

  @Test
  void aPeerThatIsNotWardIsQuoted() {
    EmbeddedChannel channel =
        new EmbeddedChannel(new FrameDecoder()) {
          @Override
          protected SocketAddress remoteAddress0() {
            return new InetSocketAddress("10.0.0.7", 4444);
          }
        };
    ByteBuf request = wire.direct("GET / HTTP/1.1\r\n\r\n".getBytes(StandardCharsets.US_ASCII));

    var e = assertThrows(ProtocolException.class, () -> channel.writeInbound(request));

    assertEquals(
        "peer 10.0.0.7:4444 is not Ward: it began with"
            + " 47 45 54 20 2f 20 48 54 54 50 2f 31 2e 31 0d 0a",
        e.getMessage());
    channel.finish();
  }

  @Test
  void thePrefaceIsRefusedAtItsFirstWrongByte() {
    EmbeddedChannel channel = wire.channel(new FrameDecoder());
    ByteBuf translated = wire.direct(new byte[] {'W', 'A', 'R', 'D', 0x0a});

    var e = assertThrows(ProtocolException.class, () -> channel.writeInbound(translated));

    assertThat(e).hasMessageEndingWith("is not Ward: it began with 57 41 52 44 0a");
    channel.finish();
  }
}
