package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Clock;
import java.time.Duration;
import java.time.Instant;
import java.time.ZoneOffset;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.Queue;
import ward.poison.LedgerQueue;
import ward.wire.Frame;
import ward.wire.FrameScanner;
import ward.wire.FrameWriter;
import ward.wire.PageAnswer;
import ward.wire.ProtocolVersion;

/** The parts that serve a small guest, without threads: the disk works when it is told to. */
final class Bench implements AutoCloseable {

  static final Instant NOW = Instant.parse("2026-01-02T03:04:05Z");

  final SmallGuest guest;
  final RecordedEvents events = new RecordedEvents();
  final ServedPages served = new ServedPages(SmallGuest.PAGES);
  final Queue<Runnable> disk = new ArrayDeque<>();
  final List<Throwable> failures = new ArrayList<>();
  final FakeLine line = new FakeLine();
  final FakeTurns turns = new FakeTurns();
  private final ByteBuf bytes = Unpooled.directBuffer();
  final FrameWriter answers = new FrameWriter(bytes);
  Duration patience = Duration.ZERO;
  final LostPages lost;
  final SourceParts parts;

  Bench(Path directory) throws IOException {
    this(new SmallGuest(directory));
  }

  Bench(SmallGuest guest) throws IOException {
    this.guest = guest;
    lost =
        new LostPages(
            SmallGuest.LAYOUT,
            served,
            guest.journal,
            new SourceSettings(
                "venus",
                false,
                0,
                Optional.of(Duration.ZERO),
                Duration.ofSeconds(10),
                Duration.ZERO),
            Clock.fixed(NOW, ZoneOffset.UTC),
            new LedgerQueue((task, millis) -> disk.add(task), () -> patience, failures::add),
            events);
    PageReader reader = new PageReader(guest.kernel, guest.memory.memory());
    parts = new SourceParts(SmallGuest.LAYOUT, served, reader, lost, events);
  }

  /** The disk does what it has been given so far. */
  void turn() {
    for (int left = disk.size(); left > 0; left--) {
      disk.remove().run();
    }
  }

  /** The disk does what it was given, then the stream does. */
  void settle() {
    while (!disk.isEmpty()) {
      disk.remove().run();
    }
    turns.takeAll();
  }

  /** The frames that were sent since the last call, once the stream has had all its turns. */
  List<Frame> sent() {
    turns.takeAll();
    return line.takeSent();
  }

  void writeLater(PageAnswer answer) {
    answers.frame(answer);
  }

  /** The answers that were written since the last call, as a destination reads them. */
  List<Frame> answered() {
    List<Frame> frames = new ArrayList<>();
    FrameScanner scanner = new FrameScanner(bytes, ProtocolVersion.OURS, "bench");
    while (scanner.next()) {
      frames.add(scanner.frame().orElseThrow());
    }
    return frames;
  }

  @Override
  public void close() throws IOException {
    bytes.release();
    guest.memory.close();
    guest.close();
  }
}
