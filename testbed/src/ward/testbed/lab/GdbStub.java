package ward.testbed.lab;

import java.io.IOException;
import java.net.StandardProtocolFamily;
import java.net.UnixDomainSocketAddress;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.nio.file.Path;
import java.time.Duration;
import java.util.Optional;

/**
 * QEMU's debugger interface on a Unix socket: stops the machine, reads and writes its registers and
 * memory. All questions need a stopped machine. Not safe for threads.
 */
final class GdbStub implements AutoCloseable {

  private static final Duration ANSWER = Duration.ofSeconds(60);
  private static final Duration SILENCE = Duration.ofMillis(300);
  private static final int INTERRUPT = 0x03;
  private static final int LARGEST_READ = 1024;
  private static final int INSTRUCTION_BYTES = 4;

  private final SocketChannel socket;
  private final Selector selector;
  private final GdbPackets packets = new GdbPackets();
  private final ByteBuffer received = ByteBuffer.allocate(1 << 16);

  private GdbStub(SocketChannel socket, Selector selector) {
    this.socket = socket;
    this.selector = selector;
  }

  /** Connecting stops the machine. */
  static GdbStub connect(Path path) throws IOException {
    SocketChannel socket = SocketChannel.open(StandardProtocolFamily.UNIX);
    socket.connect(UnixDomainSocketAddress.of(path));
    socket.configureBlocking(false);
    Selector selector = Selector.open();
    socket.register(selector, SelectionKey.OP_READ);
    GdbStub stub = new GdbStub(socket, selector);
    stub.untilSilent();
    stub.ask("?");
    // QEMU tells registers one by one only to those who have read their description.
    stub.ask("qXfer:features:read:target.xml:0,ff0");
    stub.untilSilent();
    return stub;
  }

  void setBreakpoint(long address) throws IOException {
    expectOk("Z1,%x,%d".formatted(address, INSTRUCTION_BYTES));
  }

  void removeBreakpoint(long address) throws IOException {
    expectOk("z1,%x,%d".formatted(address, INSTRUCTION_BYTES));
  }

  /** Of the processor that stopped. */
  long register(int number) throws IOException {
    return ByteBuffer.wrap(GdbPackets.bytes(ask("p%x".formatted(number))))
        .order(ByteOrder.LITTLE_ENDIAN)
        .getLong();
  }

  /**
   * Memory as that processor sees it.
   *
   * @return little-endian; shorter than asked for where the memory ends
   */
  ByteBuffer memory(long address, int lengthBytes) throws IOException {
    ByteBuffer memory = ByteBuffer.allocate(lengthBytes).order(ByteOrder.LITTLE_ENDIAN);
    while (memory.hasRemaining()) {
      int part = Math.min(LARGEST_READ, memory.remaining());
      String answer = ask("m%x,%x".formatted(address + memory.position(), part));
      if (answer.startsWith("E")) {
        break;
      }
      memory.put(GdbPackets.bytes(answer));
    }
    return memory.flip();
  }

  void write(long address, long value) throws IOException {
    expectOk("M%x,%x:%s".formatted(address, Long.BYTES, GdbPackets.hex(value)));
  }

  /** One instruction of the processor that stopped. */
  void step() throws IOException {
    ask("s");
  }

  /** Lets the machine run; {@link #awaitStop} says when it stopped. */
  void resume() throws IOException {
    send("c");
  }

  /** Whether the machine stopped in time. */
  boolean awaitStop(Duration atMost) throws IOException {
    return receive(atMost).isPresent();
  }

  /** Stops the machine; if it stopped by itself just now, that is as good. */
  void interrupt() throws IOException {
    socket.write(ByteBuffer.wrap(new byte[] {INTERRUPT}));
    untilSilent();
  }

  private void expectOk(String command) throws IOException {
    String answer = ask(command);
    if (!answer.equals("OK")) {
      throw new IOException(
          "QEMU's debugger interface answers %s to %s".formatted(answer, command));
    }
  }

  private String ask(String command) throws IOException {
    send(command);
    return receive(ANSWER)
        .orElseThrow(
            () ->
                new IOException(
                    "QEMU's debugger interface did not answer %s in %d s"
                        .formatted(command, ANSWER.toSeconds())));
  }

  private void send(String command) throws IOException {
    ByteBuffer packet = ByteBuffer.wrap(GdbPackets.encode(command));
    while (packet.hasRemaining()) {
      socket.write(packet);
    }
  }

  private void untilSilent() throws IOException {
    while (receive(SILENCE).isPresent()) {
      // Stops that nobody waits for.
    }
  }

  private Optional<String> receive(Duration atMost) throws IOException {
    long end = System.nanoTime() + atMost.toNanos();
    String packet = packets.poll();
    while (packet == null) {
      long left = (end - System.nanoTime()) / 1_000_000;
      if (left <= 0) {
        return Optional.empty();
      }
      selector.select(left);
      selector.selectedKeys().clear();
      read();
      packet = packets.poll();
    }
    socket.write(ByteBuffer.wrap(new byte[] {'+'}));
    return Optional.of(packet);
  }

  private void read() throws IOException {
    received.clear();
    if (socket.read(received) < 0) {
      throw new IOException("QEMU closed its debugger interface");
    }
    packets.accept(received.array(), received.position());
  }

  @Override
  public void close() throws IOException {
    selector.close();
    socket.close();
  }
}
