package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufUtil;
import io.netty.channel.embedded.EmbeddedChannel;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.BitSet;
import java.util.List;
import java.util.SplittableRandom;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/** Scanner and writer say what decoder and encoder say, which have tests of every rule. */
class FrameScannerTest {

  private static final int ROUNDS = 3_000;
  private static final String PEER = "local peer"; // as the decoder calls a channel without address

  private final WireBytes wire = new WireBytes();
  private final SplittableRandom random = new SplittableRandom(20_261_121);

  @AfterEach
  void nothingLeaks() {
    assertThat(wire.unreleasedBytes()).isZero();
  }

  private Frame anyFrame() {
    long id = random.nextLong(1, Long.MAX_VALUE);
    long address = Pages.bytes(random.nextLong(1L << 30));
    int pages = random.nextInt(1, 4);
    return switch (random.nextInt(8)) {
      case 0 -> new PageRequest(id, address, pages);
      case 1 -> new PageAnswer.Zero(id, address, pages);
      case 2 -> new PageAnswer.NotYet(id, address, pages);
      case 3 -> new PageAnswer.OutOfRange(id, address, pages);
      case 4 -> new PageAnswer.Failed(id, address, pages, "why " + id);
      case 5 -> poisoned(id, address);
      case 6 -> new StreamEnd();
      default -> new PageAnswer.Data(id, address, pages, noise(pages));
    };
  }

  private static Frame poisoned(long id, long address) {
    Origin origin = new Origin("host", Instant.EPOCH, Origin.Discovery.DECLARED);
    PoisonEntry entry = new PoisonEntry(address, 12, Severity.ACTION_REQUIRED, origin);
    return new PageAnswer.Poisoned(id, address, 1, List.of(entry));
  }

  private ByteBuf noise(int pages) {
    byte[] bytes = new byte[(int) Pages.bytes(pages)];
    random.nextBytes(bytes);
    return wire.direct(bytes);
  }

  private byte[] anyFrames() {
    ByteBuf all = wire.direct(64);
    for (int left = random.nextInt(1, 5); left > 0; left--) {
      ByteBuf frame = wire.encoded(anyFrame());
      all.writeBytes(frame);
      frame.release();
    }
    return WireBytes.bytesOf(all);
  }

  /** What is heard, one text each; the last may be why nothing more is. */
  private List<String> byDecoder(byte[] bytes) {
    List<String> heard = new ArrayList<>();
    EmbeddedChannel channel = wire.decoder();
    try {
      channel.writeInbound(wire.direct(bytes));
    } catch (RuntimeException e) {
      heard.add(e.toString());
    }
    List<String> frames = new ArrayList<>();
    for (Frame frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
      frames.add(textOf(frame));
    }
    channel.finishAndReleaseAll();
    frames.addAll(heard);
    return frames;
  }

  private static String textOf(Frame frame) {
    if (!(frame instanceof PageAnswer.Data data)) {
      return frame.toString();
    }
    try {
      return pages(
          data.requestId(),
          data.guestPhysicalAddress(),
          data.pageCount(),
          ByteBufUtil.getBytes(data.body()));
    } finally {
      data.release();
    }
  }

  private static String pages(long id, long address, int pages, byte[] body) {
    return "pages %d 0x%x %d %d".formatted(id, address, pages, Arrays.hashCode(body));
  }

  /** The bytes arrive in pieces of random length. */
  private List<String> byScanner(byte[] bytes) {
    List<String> heard = new ArrayList<>();
    ByteBuf in = wire.direct(bytes.length);
    FrameScanner scanner = new FrameScanner(in, ProtocolVersion.OURS, PEER);
    try {
      for (int done = 0; done < bytes.length; ) {
        int piece = Math.min(bytes.length - done, random.nextInt(1, 6_000));
        in.writeBytes(bytes, done, piece);
        done += piece;
        while (scanner.next()) {
          heard.add(textOfPresent(scanner, in));
        }
      }
    } catch (RuntimeException e) {
      heard.add(e.toString());
    } finally {
      in.release();
    }
    return heard;
  }

  private static String textOfPresent(FrameScanner scanner, ByteBuf in) {
    if (scanner.isRequest()) {
      return new PageRequest(
              scanner.requestId(), scanner.guestPhysicalAddress(), scanner.pageCount())
          .toString();
    }
    if (!scanner.isPages()) {
      return textOf(scanner.frame().orElseThrow());
    }
    byte[] body = new byte[(int) Pages.bytes(scanner.pageCount())];
    in.getBytes((int) (scanner.bodyAddress() - in.memoryAddress()), body);
    return pages(scanner.requestId(), scanner.guestPhysicalAddress(), scanner.pageCount(), body);
  }

  @Test
  void allFramesAreReadAsTheDecoderReadsThem() {
    for (int round = 0; round < ROUNDS; round++) {
      byte[] bytes = anyFrames();

      assertThat(byScanner(bytes)).isNotEmpty().isEqualTo(byDecoder(bytes));
    }
  }

  @Test
  void whatIsDamagedOnTheWayIsReadAsTheDecoderReadsIt() {
    for (int round = 0; round < ROUNDS; round++) {
      byte[] bytes = anyFrames();
      for (int flips = random.nextInt(1, 4); flips > 0; flips--) {
        bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
      }

      assertThat(byScanner(bytes)).isEqualTo(byDecoder(bytes));
    }
  }

  @Test
  void headersThatAreNotAllowedAreRefusedAsTheDecoderRefusesThem() {
    for (int round = 0; round < ROUNDS; round++) {
      FrameHeader header =
          WireBytes.header(
              random.nextInt(14),
              Pages.bytes(random.nextInt(3)),
              random.nextLong(1L << 53) & -(1L << random.nextInt(11, 13)),
              random.nextLong(0, 3),
              random.nextLong(0, 3));
      byte[] bytes = WireBytes.bytesOf(wire.frame(header, new byte[(int) header.bodyBytes()]));

      assertThat(byScanner(bytes)).isEqualTo(byDecoder(bytes));
    }
  }

  @Test
  void theWriterWritesWhatTheEncoderEncodes() {
    ByteBuf written = wire.direct(64);
    FrameWriter writer = new FrameWriter(written);
    byte[] body = ByteBufUtil.getBytes(releasedLater(noise(2)));

    writer.request(1, 0x5000, 512);
    writer.zero(2, 0x6000, 1);
    writer.roomForData(body.length);
    writer.inRoom(body.length).put(body);
    writer.data(3, 0x7000, 2);
    writer.frame(new PageAnswer.NotYet(4, 0x8000, 1));

    assertThat(WireBytes.bytesOf(written))
        .isEqualTo(
            concatenated(
                new PageRequest(1, 0x5000, 512),
                new PageAnswer.Zero(2, 0x6000, 1),
                new PageAnswer.Data(3, 0x7000, 2, wire.direct(body)),
                new PageAnswer.NotYet(4, 0x8000, 1)));
  }

  private static ByteBuf releasedLater(ByteBuf noise) {
    byte[] bytes = ByteBufUtil.getBytes(noise);
    noise.release();
    return io.netty.buffer.Unpooled.wrappedBuffer(bytes);
  }

  private byte[] concatenated(Frame... frames) {
    ByteBuf all = wire.direct(64);
    for (Frame frame : frames) {
      ByteBuf one = wire.encoded(frame);
      all.writeBytes(one);
      one.release();
    }
    return WireBytes.bytesOf(all);
  }

  @Test
  void theWriterRefusesWhatNoFrameMaySay() {
    ByteBuf out = wire.direct(64);
    FrameWriter writer = new FrameWriter(out);

    assertThatThrownBy(() -> writer.request(1, 0x5001, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("0x5001");
    assertThatThrownBy(() -> writer.request(1, 0x5000, 513))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessageContaining("513");

    assertThat(out.readableBytes()).isZero();
    out.release();
  }

  @Test
  void aFrameThatHasNotComeWholeTellsHowMuchItLacks() {
    ByteBuf in = wire.direct(8_192);
    FrameScanner scanner = new FrameScanner(in, ProtocolVersion.OURS, PEER);
    ByteBuf data = wire.encoded(new PageAnswer.Data(3, 0x7000, 1, noise(1)));

    assertThat(scanner.missingBytes()).isEqualTo(FrameHeader.BYTES);
    in.writeBytes(data, FrameHeader.BYTES + 96);

    assertThat(scanner.next()).isFalse();
    assertThat(scanner.missingBytes()).isEqualTo(Pages.SIZE_BYTES - 96);
    assertThatThrownBy(scanner::requireFinished)
        .isInstanceOf(TransmissionException.class)
        .hasMessage(PEER + ": the connection ended inside DATA: 96 of 4096 body bytes came");
    data.release();
    in.release();
  }

  /** Pages of which those with a bit have these bytes, as a stream sends them. */
  private ByteBuf mixedFrame(int pageCount, BitSet bits, byte[] content) {
    ByteBuf body = wire.direct(MixedPages.BITS_BYTES + content.length);
    body.writeBytes(Arrays.copyOf(bits.toByteArray(), MixedPages.BITS_BYTES)).writeBytes(content);
    ByteBuf out = wire.direct(FrameHeader.BYTES + body.readableBytes());
    new FrameWriter(out).mixedHeader(0x40_0000, pageCount, body, 0, body.readableBytes());
    out.writeBytes(body);
    body.release();
    return out;
  }

  private static BitSet bits(int... pages) {
    BitSet bits = new BitSet();
    Arrays.stream(pages).forEach(bits::set);
    return bits;
  }

  @Test
  void mixedPagesTellWhichHaveBytesAndWhereThoseAre() {
    byte[] content = new byte[3 * Pages.SIZE_BYTES];
    Arrays.fill(content, Pages.SIZE_BYTES, content.length, (byte) 9);
    ByteBuf in = mixedFrame(200, bits(0, 70, 71), content);
    FrameScanner scanner = new FrameScanner(in, ProtocolVersion.OURS, PEER);

    assertThat(scanner.next()).isTrue();
    assertThat(scanner.isMixed()).isTrue();
    assertThat(scanner.isPages()).isFalse();
    MixedPages pages = scanner.mixed();

    long begin = in.memoryAddress() + FrameHeader.BYTES + MixedPages.BITS_BYTES;
    assertThat(pages).isEqualTo(new MixedPages(0, 0x40_0000, 200, bits(0, 70, 71), begin));
    assertThat(pages.addressOf(71)).isEqualTo(begin + 2 * Pages.SIZE_BYTES);
    assertThat(pages.alike(1)).isEqualTo(69);
    assertThat(pages.alike(70)).isEqualTo(2);
    assertThat(pages.alike(72)).isEqualTo(128);
    in.release();
  }

  @Test
  void bitsThatContradictTheBytesAreRefused() {
    assertContradiction(bits(0, 1), 1, "bytes of 1 and bits for 2, the last for page 1");
    assertContradiction(bits(0), 2, "bytes of 2 and bits for 1, the last for page 0");
    assertContradiction(bits(0, 3), 2, "bytes of 2 and bits for 2, the last for page 3");
    assertContradiction(bits(0, 511), 2, "bytes of 2 and bits for 2, the last for page 511");
  }

  private void assertContradiction(BitSet bits, int pages, String text) {
    ByteBuf in = mixedFrame(3, bits, new byte[pages * Pages.SIZE_BYTES]);
    FrameScanner scanner = new FrameScanner(in, ProtocolVersion.OURS, PEER);

    assertThat(scanner.next()).isTrue();
    assertThatThrownBy(scanner::mixed)
        .isInstanceOf(ProtocolException.class)
        .hasMessage(PEER + ": MIXED of 3 pages at 0x400000 with the " + text);
    in.release();
  }

  @Test
  void mixedPagesThatChangedOnTheWayAreDamagedAllOfThem() {
    ByteBuf in = mixedFrame(3, bits(1), new byte[Pages.SIZE_BYTES]);
    in.setByte(FrameHeader.BYTES, 1); // another page's bit
    FrameScanner scanner = new FrameScanner(in, ProtocolVersion.OURS, PEER);

    assertThat(scanner.next()).isTrue();
    assertThat(scanner.isMixed()).isFalse();
    assertThat(scanner.frame().orElseThrow())
        .isInstanceOfSatisfying(
            PageAnswer.Damaged.class, damaged -> assertThat(damaged.pageCount()).isEqualTo(3));
    in.release();
  }
}
