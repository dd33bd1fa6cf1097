package ward.wire;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static ward.wire.WireBytes.bytesOf;

import io.netty.channel.embedded.EmbeddedChannel;
import io.netty.util.ReferenceCountUtil;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import net.jqwik.api.Arbitraries;
import net.jqwik.api.Arbitrary;
import net.jqwik.api.ForAll;
import net.jqwik.api.Property;
import net.jqwik.api.Provide;
import net.jqwik.api.Tuple;
import net.jqwik.api.constraints.IntRange;
import net.jqwik.api.constraints.Size;

/** Whatever a peer sends: a frame, or an exception that says why not, and nothing kept. */
class FrameDecoderProperties {

  private final WireBytes wire = new WireBytes();

  @Property(tries = 1000)
  void randomBytesAreRefusedAndNothingLeaks(@ForAll @Size(max = 300) byte[] bytes) {
    readAndClose(wire.channel(new FrameDecoder()), bytes, 17);
  }

  @Property(tries = 1000)
  void randomFramesAreReadOrRefusedAndNothingLeaks(
      @ForAll("kinds") int kind,
      @ForAll @Size(max = 200) byte[] body,
      @ForAll @IntRange(max = 3) int pageCount,
      @ForAll @IntRange(min = 1, max = 100) int readBytes) {
    readAndClose(wire.decoder(), framed(kind, pageCount, body), readBytes);
  }

  @Provide
  Arbitrary<Integer> kinds() {
    return Arbitraries.frequencyOf(
        Tuple.of(8, Arbitraries.of(FrameKind.MESSAGE.number())),
        Tuple.of(4, Arbitraries.of(FrameKind.POISONED.number())),
        Tuple.of(4, Arbitraries.integers().between(0, 255)));
  }

  private byte[] framed(int kind, int pageCount, byte[] body) {
    return bytesOf(wire.frame(WireBytes.header(kind, body.length, 0, pageCount, 0), body));
  }

  @Property(tries = 3000)
  void damagedFramesAreReadOrRefusedAndNothingLeaks(
      @ForAll("frames") Frame frame,
      @ForAll long seed,
      @ForAll @IntRange(min = 1, max = 5) int damages,
      @ForAll @IntRange(min = 1, max = 5000) int readBytes) {
    byte[] bytes = bytesOf(wire.encoded(frame));
    Random random = new Random(seed);
    for (int i = 0; i < damages; i++) {
      bytes[random.nextInt(bytes.length)] = (byte) random.nextInt();
    }

    readAndClose(wire.decoder(), bytes, readBytes);
  }

  @Provide
  Arbitrary<Frame> frames() {
    List<Frame> frames = new ArrayList<>();
    Messages.all().map(ControlFrame::new).forEach(frames::add);
    FrameDecoderTest.everyFrame().forEach(frames::add);
    return Arbitraries.of(frames);
  }

  @Property(tries = 200)
  void dataIsTheSameInReadsOfAnyLength(
      @ForAll @IntRange(min = 1, max = 8) int pageCount,
      @ForAll @IntRange(min = 1, max = 40_000) int readBytes,
      @ForAll long seed) {
    byte[] content = new byte[pageCount * 4096];
    new Random(seed).nextBytes(content);
    EmbeddedChannel channel = wire.decoder();
    byte[] frame =
        bytesOf(wire.encoded(new PageAnswer.Data(5, 0, pageCount, wire.direct(content))));

    for (int i = 0; i < 2; i++) {
      write(channel, frame, readBytes);
    }

    for (int i = 0; i < 2; i++) {
      PageAnswer.Data data = channel.readInbound();
      assertEquals(0, Arrays.compare(content, bytesOf(data.body())));
    }
    channel.finish();
    assertEquals(0, wire.unreleasedBytes());
  }

  private void readAndClose(EmbeddedChannel channel, byte[] bytes, int readBytes) {
    try {
      write(channel, bytes, readBytes);
      channel.finish();
    } catch (ProtocolException | TransmissionException refused) {
      channel.finish(); // only the first violation is reported
    }
    for (Object frame = channel.readInbound(); frame != null; frame = channel.readInbound()) {
      ReferenceCountUtil.release(frame);
    }
    assertEquals(0, wire.unreleasedBytes());
  }

  private void write(EmbeddedChannel channel, byte[] bytes, int readBytes) {
    for (int at = 0; at < bytes.length; at += readBytes) {
      int length = Math.min(readBytes, bytes.length - at);
      channel.writeInbound(wire.direct(length).writeBytes(bytes, at, length));
    }
  }
}
