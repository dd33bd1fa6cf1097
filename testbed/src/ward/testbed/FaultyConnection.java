package ward.testbed;

import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Duration;
import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import ward.wire.ConnectionKind;
import ward.wire.proto.WireProto;

/** One connection through a {@link FaultyLink}. */
final class FaultyConnection {

  private static final int CHUNK_BYTES = 64 << 10;
  private static final int HELLO_BYTES_MAX = 4096;
  private static final byte[] PREFACE = {'W', 'A', 'R', 'D', 0x0d, 0x0a, 0x1a, 0x0a};

  private final FaultyLink link;
  private final Socket destination;
  private final Socket source;
  private final CompletableFuture<Void> introduced = new CompletableFuture<>();
  private final CountDownLatch over = new CountDownLatch(1);
  private final AtomicInteger directionsOpen = new AtomicInteger(LinkDirection.values().length);
  private volatile ConnectionKind kind; // null: it is not Ward that dialled

  FaultyConnection(FaultyLink link, Socket destination, Socket source) {
    this.link = link;
    this.destination = destination;
    this.source = source;
  }

  /** Carries one direction to its end, which is orderly if its sender's was. */
  void pump(LinkDirection direction) throws IOException, InterruptedException {
    boolean toSource = direction == LinkDirection.TO_SOURCE;
    Socket from = toSource ? destination : source;
    Socket to = toSource ? source : destination;
    try {
      carry(direction, from.getInputStream(), to.getOutputStream());
      to.shutdownOutput();
    } catch (IOException broken) {
      reset();
      throw broken;
    } finally {
      introduced.complete(null);
      if (directionsOpen.decrementAndGet() == 0) {
        end();
      }
    }
  }

  private void carry(LinkDirection direction, InputStream in, OutputStream out)
      throws IOException, InterruptedException {
    FrameTracker tracker = new FrameTracker();
    byte[] chunk;
    if (direction == LinkDirection.TO_SOURCE) {
      chunk = readIntroduction(in);
      introduced.complete(null);
    } else {
      chunk = readChunk(in);
      introduced.join(); // until then nobody knows which faults are meant
    }
    while (chunk.length > 0) {
      link.carried(kind, direction, chunk.length);
      pause(link.latency());
      if (!pass(direction, tracker, chunk, out)) {
        return;
      }
      chunk = readChunk(in);
    }
  }

  private static byte[] readChunk(InputStream in) throws IOException {
    byte[] chunk = new byte[CHUNK_BYTES];
    int length = in.read(chunk);
    return Arrays.copyOf(chunk, Math.max(0, length));
  }

  /** The preface and the Hello, which says what the connection is for. */
  private byte[] readIntroduction(InputStream in) throws IOException {
    byte[] preface = in.readNBytes(PREFACE.length);
    if (!Arrays.equals(preface, PREFACE)) {
      return preface;
    }
    byte[] header = in.readNBytes(FrameTracker.HEADER_BYTES);
    byte[] body = header.length < FrameTracker.HEADER_BYTES ? new byte[0] : readHello(header, in);
    return ByteBuffer.allocate(preface.length + header.length + body.length)
        .put(preface)
        .put(header)
        .put(body)
        .array();
  }

  private byte[] readHello(byte[] header, InputStream in) throws IOException {
    int bodyBytes = ByteBuffer.wrap(header).order(ByteOrder.LITTLE_ENDIAN).getInt();
    if (bodyBytes < 0 || bodyBytes > HELLO_BYTES_MAX) {
      return new byte[0];
    }
    byte[] body = in.readNBytes(bodyBytes);
    try {
      WireProto.Hello.Connection connection =
          WireProto.Envelope.parseFrom(body).getHello().getConnection();
      kind = ConnectionKind.valueOf(connection.name());
    } catch (InvalidProtocolBufferException | IllegalArgumentException notAHello) {
      kind = null;
    }
    return body;
  }

  /** Whether the direction goes on. */
  private boolean pass(
      LinkDirection direction, FrameTracker tracker, byte[] chunk, OutputStream out)
      throws IOException, InterruptedException {
    int sent = 0;
    int at = 0;
    while (at < chunk.length) {
      FrameTracker.Span span = tracker.next(chunk, at, chunk.length);
      link.passes(tracker.frameKind(), tracker.address());
      for (FaultyLink.Hit hit : link.hits(kind, direction, span)) {
        int there = at + hit.at();
        if (!link.happens(hit)) {
          continue;
        }
        if (hit.effect() instanceof Fault.Flip flip) {
          chunk[there] ^= (byte) (1 << flip.bit());
          continue;
        }
        out.write(chunk, sent, there - sent);
        sent = there;
        if (!goesOnAfter(hit.effect())) {
          return false;
        }
      }
      at += span.length();
    }
    out.write(chunk, sent, chunk.length - sent);
    return true;
  }

  private boolean goesOnAfter(Fault.Effect effect) throws InterruptedException {
    if (effect instanceof Fault.Stall stall) {
      pause(stall.time());
      return over.getCount() > 0; // what is held back when the connection ends never arrives
    }
    if (effect instanceof Fault.Act act) {
      link.perform(act);
      return true;
    }
    if (effect instanceof Fault.Reset) {
      reset();
    } else if (effect instanceof Fault.ResetAll) {
      link.resetAll();
    }
    return false;
  }

  /** Or until the connection is gone. */
  private void pause(Duration time) throws InterruptedException {
    if (!time.isZero()) {
      over.await(time.toMillis(), TimeUnit.MILLISECONDS);
    }
  }

  /** Both ends learn at once that it is gone. */
  void reset() {
    for (Socket socket : new Socket[] {destination, source}) {
      try {
        socket.setSoLinger(true, 0);
      } catch (IOException closedAlready) {
        // then there is nobody to tell
      }
    }
    end();
  }

  private void end() {
    over.countDown();
    link.ended(this);
    for (Socket socket : new Socket[] {destination, source}) {
      try {
        socket.close();
      } catch (IOException closedAlready) {
        // as it should be
      }
    }
  }
}
