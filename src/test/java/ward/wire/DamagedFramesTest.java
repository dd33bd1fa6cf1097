package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static ward.wire.WireBytes.bytesOf;

import io.netty.buffer.ByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.Arrays;
import java.util.Random;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.wire.PageAnswer.Damaged;
import ward.wire.PageAnswer.Data;

/** What the way does to bytes: nothing of it is ever taken for what was sent. */
@Timeout(60)
class DamagedFramesTest {

  private static final long ADDRESS = 0x1_2345_6000L;

  private final WireBytes wire = new WireBytes();

  @AfterEach
  void nothingLeaks() {
    assertEquals(0, wire.unreleasedBytes());
  }

  private byte[] page(long seed) {
    byte[] content = new byte[4096];
    new Random(seed).nextBytes(content);
    return content;
  }

  private byte[] dataFrame(long requestId, long address, byte[] content) {
    int pages = content.length / 4096;
    return bytesOf(wire.encoded(new Data(requestId, address, pages, wire.direct(content))));
  }

  private static byte[] flipped(byte[] bytes, int bit) {
    byte[] damaged = bytes.clone();
    damaged[bit / 8] ^= (byte) (1 << bit % 8);
    return damaged;
  }

  @Test
  void everyFlippedBitOfAPagesBytesIsFoundAndThePageIsNamed() {
    byte[] frame = dataFrame(7, ADDRESS, page(1));
    EmbeddedChannel channel = wire.decoder();

    for (int bit = FrameHeader.BYTES * 8; bit < frame.length * 8; bit++) {
      channel.writeInbound(wire.direct(flipped(frame, bit)));

      Damaged damaged = assertDamaged(channel.readInbound(), "bit " + bit);
      assertEquals(7, damaged.requestId());
      assertEquals(ADDRESS, damaged.guestPhysicalAddress());
      assertEquals(1, damaged.pageCount());
    }
    assertFalse(channel.finish());
  }

  private static Damaged assertDamaged(Object frame, String what) {
    assertThat(frame).as(what).isInstanceOf(Damaged.class);
    return (Damaged) frame;
  }

  static Stream<Frame> framesOfEveryKind() {
    return Stream.concat(
        FrameDecoderTest.everyFrame(),
        Messages.all().map(ControlFrame::new).map(Frame.class::cast));
  }

  @ParameterizedTest
  @MethodSource("framesOfEveryKind")
  void everyFlippedBitOfAHeaderEndsTheConnection(Frame sent) {
    byte[] frame = bytesOf(wire.encoded(sent));

    for (int bit = 0; bit < FrameHeader.BYTES * 8; bit++) {
      assertThat(lost(flipped(frame, bit)))
          .as("bit %d", bit)
          .contains("local peer: a frame's header came with checksum 0x", "its bytes give 0x");
    }
  }

  @Test
  void everyFlippedBitOfADataFramesHeaderEndsTheConnection() {
    byte[] frame = dataFrame(7, ADDRESS, page(1));

    for (int bit = 0; bit < FrameHeader.BYTES * 8; bit++) {
      assertThat(lost(flipped(frame, bit))).as("bit %d", bit).contains("a frame's header");
    }
  }

  private String lost(byte[] bytes) {
    EmbeddedChannel channel = wire.decoder();
    String text =
        assertThrows(TransmissionException.class, () -> channel.writeInbound(wire.direct(bytes)))
            .getMessage();
    assertNull(channel.readInbound());
    assertFalse(channel.writeInbound(wire.encoded(new StreamEnd())), "read behind the damage");
    assertFalse(channel.finish());
    return text;
  }

  @ParameterizedTest
  @MethodSource("framesOfEveryKind")
  void aFlippedBitOfABodyIsAskedForAgainOrEndsTheConnectionWhereItCannotBe(Frame sent) {
    byte[] frame = bytesOf(wire.encoded(sent));

    for (int bit = FrameHeader.BYTES * 8; bit < frame.length * 8; bit++) {
      byte[] bytes = flipped(frame, bit);
      if (sent instanceof PageAnswer answer) {
        EmbeddedChannel channel = wire.decoder();
        channel.writeInbound(wire.direct(bytes));
        Damaged damaged = assertDamaged(channel.readInbound(), "bit " + bit);
        assertEquals(answer.guestPhysicalAddress(), damaged.guestPhysicalAddress());
        assertFalse(channel.finish());
      } else {
        assertThat(lost(bytes)).contains("MESSAGE with a body of ", "0x", "its bytes give 0x");
      }
    }
  }

  /** Long ones too: a stream's frames have up to 512 pages. */
  @ParameterizedTest
  @ValueSource(ints = {1, 2, 64, 512})
  void burstsAndScatteredBitsInDataAreFound(int pages) {
    byte[] content = new byte[pages * 4096];
    Random random = new Random(pages);
    random.nextBytes(content);
    byte[] frame = dataFrame(0, ADDRESS, content);
    EmbeddedChannel channel = wire.decoder();

    for (int i = 0; i < 200; i++) {
      byte[] damaged = frame.clone();
      int at = FrameHeader.BYTES + random.nextInt(content.length - 4);
      for (int wrong = random.nextInt(1, 5); wrong > 0; wrong--) {
        damaged[i % 2 == 0 ? at + wrong - 1 : FrameHeader.BYTES + random.nextInt(content.length)] ^=
            (byte) random.nextInt(1, 256);
      }
      if (Arrays.equals(frame, damaged)) {
        continue; // it undid itself
      }
      channel.writeInbound(wire.direct(damaged));
      assertDamaged(channel.readInbound(), "damage " + i);
    }
    assertFalse(channel.finish());
  }

  @Test
  void twoFramesThatHaveExchangedTheirBytesAreBothFound() {
    byte[] first = dataFrame(0, ADDRESS, page(1));
    byte[] second = dataFrame(0, ADDRESS + 4096, page(2));
    byte[] head = Arrays.copyOf(first, FrameHeader.BYTES);
    System.arraycopy(second, 0, first, 0, FrameHeader.BYTES);
    System.arraycopy(head, 0, second, 0, FrameHeader.BYTES);
    EmbeddedChannel channel = wire.decoder();

    channel.writeInbound(wire.direct(first), wire.direct(second));

    assertDamaged(channel.readInbound(), "the first");
    assertDamaged(channel.readInbound(), "the second");
    assertFalse(channel.finish());
  }

  /** What a host's memory does to a page between reading and sending. */
  @Test
  void whatChangesAfterTheSumWasMadeIsFound() {
    ByteBuf body = wire.direct(page(3));
    Data data = new Data(0, ADDRESS, 1, body);
    body.setByte(100, body.getByte(100) ^ 4);
    EmbeddedChannel channel = wire.decoder();

    channel.writeInbound(wire.encoded(data));

    Damaged damaged = assertDamaged(channel.readInbound(), "changed in memory");
    assertEquals(data.checksum(), damaged.sentChecksum());
    assertThat(damaged.disagreement())
        .isEqualTo(
            "checksum 0x%08x was sent, the bytes give 0x%08x",
            damaged.sentChecksum(), damaged.arrivedChecksum());
    assertFalse(channel.finish());
  }

  @Test
  void theSameBytesAtAnotherAddressHaveAnotherSum() {
    ByteBuf body = wire.direct(page(4));

    Data here = new Data(0, ADDRESS, 1, body);
    Data there = new Data(0, ADDRESS ^ 1L << 40, 1, body);

    assertThat(there.checksum()).isNotEqualTo(here.checksum());
    body.release();
  }

  @Test
  void theFramesBehindADamagedBodyAreReadAsEver() {
    byte[] frame = dataFrame(7, ADDRESS, page(1));
    EmbeddedChannel channel = wire.decoder();

    channel.writeInbound(wire.direct(flipped(frame, 20_000)));
    channel.writeInbound(wire.direct(frame));

    assertDamaged(channel.readInbound(), "the first");
    Data whole = channel.readInbound();
    assertThat(bytesOf(whole.body())).isEqualTo(page(1));
    assertFalse(channel.finish());
  }

  @Test
  void aFlippedBitOfThePrefaceIsDamageAndNotAnotherProtocol() {
    byte[] preface = bytesOf(wire.preface());

    for (int bit = 0; bit < preface.length * 8; bit++) {
      EmbeddedChannel channel = wire.channel(new FrameDecoder());
      byte[] damaged = flipped(preface, bit);
      channel.writeInbound(wire.direct(Arrays.copyOf(damaged, 5)));
      ByteBuf rest = wire.direct(Arrays.copyOfRange(damaged, 5, 8));

      var e = assertThrows(TransmissionException.class, () -> channel.writeInbound(rest));

      assertThat(e).hasMessageStartingWith("local peer: the preface came as ");
      assertFalse(channel.finish());
    }
  }

  @Test
  void damageIsNeverSent() {
    EmbeddedChannel channel = wire.channel(new FrameEncoder());
    channel.<ByteBuf>readOutbound().release(); // the preface

    var write = channel.writeAndFlush(new Damaged(1, 0, 1, 2, 3));

    assertThat(write.cause()).isInstanceOf(IllegalArgumentException.class);
    assertNull(channel.readOutbound());
    channel.finish();
  }

  /** RFC 3720, appendix B.4: 32 bytes of zeros, of ones, and counting up. */
  @Test
  void theChecksumIsTheOneOfRfc3720() {
    ByteBuf bytes = wire.zeros(32);
    assertEquals(0x8a91_36aa, Checksum.of(bytes, 0, 32));
    for (int i = 0; i < 32; i++) {
      bytes.setByte(i, 0xff);
    }
    assertEquals(0x62a8_ab43, Checksum.of(bytes, 0, 32));
    for (int i = 0; i < 32; i++) {
      bytes.setByte(i, i);
    }
    assertEquals(0x46dd_794e, Checksum.of(bytes, 0, 32));
    bytes.release();
  }
}
