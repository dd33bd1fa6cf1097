package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.ChannelPromise;
import io.netty.channel.embedded.EmbeddedChannel;
import java.time.Instant;
import java.util.List;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.PageAnswer.Data;

class FrameEncoderTest {

  private final WireBytes wire = new WireBytes();

  @AfterEach
  void nothingLeaks() {
    assertEquals(0, wire.unreleasedBytes());
  }

  @Test
  void thePrefaceGoesOutOnceAndFirst() {
    EmbeddedChannel channel = wire.channel(new FrameEncoder());
    channel.pipeline().fireChannelActive();

    ByteBuf first = channel.readOutbound();

    assertEquals("574152440d0a1a0a", ByteBufUtil.hexDump(first));
    assertNull(channel.readOutbound());
    first.release();
    channel.finish();
  }

  @Test
  void everyFieldSitsWhereTheDrawingPutsIt() {
    ByteBuf bytes = wire.encoded(new PageRequest(0x1122334455667788L, 0x0001_2345_6789_A000L, 258));

    assertEquals(
        "00000000" // body length
            + "02" // kind
            + "00"
            + "0000"
            + "00a0896745230100" // address
            + "02010000" // pages
            + "8b9acc88" // the content's checksum
            + "8877665544332211" // request id
            + "48289f82", // the header's checksum
        ByteBufUtil.hexDump(bytes));
    bytes.release();
  }

  @Test
  void theBodyOfDataIsHandedOnAsItIs() {
    EmbeddedChannel channel = activeEncoder();
    ByteBuf body = wire.zeros(4096);

    channel.writeOutbound(new Data(1, 0, 1, body));

    ByteBuf header = channel.readOutbound();
    assertEquals(FrameHeader.BYTES, header.readableBytes());
    assertSame(body, channel.readOutbound());
    header.release();
    body.release();
    channel.finish();
  }

  @Test
  void aCancelledWriteOfDataSendsNothingAndReleasesTheBody() {
    EmbeddedChannel channel = activeEncoder();
    ChannelPromise promise = channel.newPromise();
    promise.cancel(false);
    ByteBuf body = wire.zeros(4096);

    ((FrameEncoder) channel.pipeline().first())
        .write(channel.pipeline().firstContext(), new Data(1, 0, 1, body), promise);
    channel.flush();

    assertNull(channel.readOutbound());
    assertEquals(0, body.refCnt());
    channel.finish();
  }

  @Test
  void aWriteOfDataToAClosedChannelReleasesTheBody() {
    EmbeddedChannel channel = activeEncoder();
    channel.close();
    ByteBuf body = wire.zeros(4096);

    var write = channel.writeAndFlush(new Data(1, 0, 1, body));

    assertFalse(write.isSuccess());
    assertEquals(0, body.refCnt());
  }

  @Test
  void moreThan64KibOfPoisonFailsItsOwnWriteAndNothingElse() {
    EmbeddedChannel channel = activeEncoder();
    List<PoisonEntry> entries = IntStream.range(0, 300).mapToObj(this::entryOfALongHost).toList();

    var tooLong = channel.writeAndFlush(new PageAnswer.Poisoned(1, 0, 512, entries));
    var next = channel.writeAndFlush(new StreamEnd());

    assertThat(tooLong.cause())
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("POISONED with a body of")
        .hasMessageContaining("at most 65536");
    assertTrue(next.isSuccess());
    channel.<ByteBuf>readOutbound().release();
    channel.finish();
  }

  private PoisonEntry entryOfALongHost(int page) {
    String host = "h".repeat(250) + page;
    return new PoisonEntry(
        (long) page << 12,
        12,
        Severity.ACTION_REQUIRED,
        new Origin(host, Instant.EPOCH, Origin.Discovery.DECLARED));
  }

  @Test
  void aFailureIsCutToOneKib() {
    ByteBuf bytes = wire.encoded(new PageAnswer.Failed(1, 0, 1, "€".repeat(1000)));
    byte[] body = new byte[bytes.readableBytes() - FrameHeader.BYTES];
    bytes.getBytes(FrameHeader.BYTES, body);

    assertArrayEquals("€".repeat(341).getBytes(java.nio.charset.StandardCharsets.UTF_8), body);
    bytes.release();
  }

  @Test
  void dataOfAnotherLengthThanItsPagesCannotBeMade() {
    ByteBuf body = wire.zeros(4095);

    var e = assertThrows(IllegalArgumentException.class, () -> new Data(1, 0, 1, body));

    assertEquals("DATA of 1 pages with a body of 4095 bytes; 4096 are needed", e.getMessage());
    body.release();
  }

  private EmbeddedChannel activeEncoder() {
    EmbeddedChannel channel = wire.channel(new FrameEncoder());
    channel.<ByteBuf>readOutbound().release();
    return channel;
  }
}
