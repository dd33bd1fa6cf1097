package ward.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.ReentrantLock;
import ward.kernel.KernelCallException;
import ward.kernel.StreamSocket;
import ward.wire.FrameScanner;
import ward.wire.FrameWriter;
import ward.wire.ProtocolVersion;

/**
 * One connection behind its Hello, and the thread that waits for what comes on it.
 *
 * <p>Why not an event loop: a page that a vCPU waits for passes four threads, and what each of them
 * does is a large part of the time. With blocking calls each does one system call for the socket;
 * Netty's epoll loop does two or three, and allocates.
 */
public final class PageChannel implements AutoCloseable {

  private static final int IN_BYTES = 256 << 10;
  private static final int OUT_BYTES = 64 << 10;

  private final String name;
  private final StreamSocket socket;
  private final ByteBuf in = Unpooled.directBuffer(IN_BYTES);
  private final ByteBuf out = Unpooled.directBuffer(OUT_BYTES);
  private final FrameScanner frames;
  private final FrameWriter writer = new FrameWriter(out);
  private final ReentrantLock sending = new ReentrantLock();
  private final Patience patience = new Patience();
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private boolean started;
  private boolean closed;
  private boolean released; // under the lock of sending: its memory is gone

  /** What becomes of what arrives, on the channel's thread. */
  public interface Reactions {

    /**
     * Some bytes have come.
     *
     * @param frames to step through until there is no whole one
     * @throws Exception ends the connection
     */
    void arrived(FrameScanner frames) throws Exception;

    /**
     * Nothing comes any more; the last call.
     *
     * @param cause null if the peer, or this side, closed the connection between two frames
     */
    void ended(Throwable cause);
  }

  /**
   * @param socket to be closed with the channel
   * @param early what was received before, copied
   * @param name of the peer, for messages
   */
  PageChannel(StreamSocket socket, ByteBuf early, ProtocolVersion peer, String name) {
    this.socket = socket;
    this.name = name;
    this.frames = new FrameScanner(in, peer, name);
    in.writeBytes(early);
  }

  /** Begins to receive. At most once. */
  public synchronized void start(String threadName, Reactions reactions) {
    if (closed) {
      reactions.ended(null);
      return;
    }
    started = true;
    Thread thread = new Thread(() -> run(reactions), threadName);
    thread.setDaemon(true);
    thread.start();
  }

  private void run(Reactions reactions) {
    Throwable cause = null;
    try {
      receiveAll(reactions);
    } catch (Throwable e) { // whatever it is, somebody has to hear that nothing comes any more
      cause = e;
    }
    socket.end();
    try {
      reactions.ended(cause);
    } finally {
      leave();
    }
  }

  private synchronized void leave() {
    closed = true; // whoever closes it later finds nothing left to do
    release();
  }

  private void receiveAll(Reactions reactions) throws Exception {
    do {
      reactions.arrived(frames);
    } while (receive());
    frames.requireFinished();
  }

  /** False at the end of the connection. */
  private boolean receive() throws IOException {
    makeRoom();
    long received =
        patience.receive(socket, in.memoryAddress() + in.writerIndex(), in.writableBytes());
    if (received < 0) {
      throw failure("recv", received);
    }
    in.writerIndex(in.writerIndex() + (int) received);
    return received > 0;
  }

  private void makeRoom() {
    if (!in.isReadable()) {
      in.clear();
    } else if (in.writableBytes() < Math.max(frames.missingBytes(), IN_BYTES / 4)) {
      in.discardReadBytes();
      in.ensureWritable(frames.missingBytes());
    }
  }

  private IOException failure(String call, long answer) {
    return new IOException(
        "%s: %s failed: %s".formatted(name, call, KernelCallException.describe((int) -answer)));
  }

  /** Appends a question for pages; as {@link #write}, without an object. */
  public void request(long requestId, long guestPhysicalAddress, int pageCount) {
    sending.lock();
    try {
      if (!released) {
        writer.request(requestId, guestPhysicalAddress, pageCount);
      }
    } finally {
      sending.unlock();
    }
  }

  /** Something to send, written in one piece. */
  public interface Words {
    void write(FrameWriter writer);
  }

  /**
   * Appends to what is sent by the next {@link #flush()}, or earlier if that is much; nothing at
   * the end. From any thread.
   */
  public void write(Words words) {
    sending.lock();
    try {
      if (!released) {
        words.write(writer);
        sendIfMuch();
      }
    } finally {
      sending.unlock();
    }
  }

  /** However much is asked for at once, what is sent by then waits for the rest no longer. */
  private void sendIfMuch() {
    if (out.readableBytes() >= OUT_BYTES) {
      sendAll();
    }
  }

  /**
   * Sends what was written, and waits until the kernel has taken it. Where that fails, the
   * connection ends. From any thread.
   */
  public void flush() {
    sending.lock();
    try {
      if (!released) {
        sendAll();
      }
    } finally {
      sending.unlock();
    }
  }

  private void sendAll() {
    if (out.isReadable() && socket.send(out.memoryAddress(), out.readableBytes()) < 0) {
      socket.end(); // its reader tells
    }
    out.clear();
  }

  /**
   * Ends the connection.
   *
   * @return completes when nothing is received, sent or reacted to any more
   */
  public CompletionStage<Void> end() {
    close();
    return ended;
  }

  @Override
  public synchronized void close() {
    if (!closed) {
      closed = true;
      if (started) {
        socket.end(); // the thread does the rest
      } else {
        release();
      }
    }
  }

  private void release() {
    sending.lock();
    try {
      released = true;
      socket.close();
      in.release();
      out.release();
    } finally {
      sending.unlock();
    }
    ended.complete(null);
  }

  @Override
  public String toString() {
    return name;
  }
}
