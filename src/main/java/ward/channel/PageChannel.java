package ward.channel;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.locks.ReentrantLock;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;
import ward.kernel.Niceness;
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

  /** As the kernel says it. */
  static final long NOTHING_YET = -Errno.EAGAIN.intValue();

  private static final int OUT_BYTES = 64 << 10;

  /**
   * Pages up to here are copied behind their header, and many such frames go out by one call: where
   * every second page is zeros, 256 calls of a slice become 17. What is longer goes from where it
   * lies.
   */
  private static final int COPIED_BYTES = 32 << 10;

  private final String name;
  private final StreamSocket socket;
  private final ProtocolVersion peer;
  private final ByteBuf early; // received before this, and still to be read
  private final ByteBuf out = Unpooled.directBuffer(OUT_BYTES);
  private final FrameWriter writer = new FrameWriter(out);
  private final ReentrantLock sending = new ReentrantLock();
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
   * @param early what was received before; retained
   * @param name of the peer, for messages
   */
  PageChannel(StreamSocket socket, ByteBuf early, ProtocolVersion peer, String name) {
    this.socket = socket;
    this.name = name;
    this.peer = peer;
    this.early = early.retain();
  }

  /** Begins to receive. At most once, in this way or the other. */
  public void start(String threadName, Reactions reactions) {
    start(threadName, ReadAhead::new, reactions);
  }

  /**
   * Begins to receive, each frame apart: the bytes of pages begin at a multiple of 2 MiB, in
   * private anonymous memory, and whoever reacts to them may take them out of it. At most once.
   */
  public void startStaged(String threadName, Reactions reactions) {
    start(
        threadName,
        () -> {
          Niceness.STREAM.take(); // a guest does not wait for what comes here
          return new Staging();
        },
        reactions);
  }

  /** The same on whatever thread looks, {@link #start} without one of its own. At most once. */
  public synchronized Watched watched(Reactions reactions) {
    if (closed) {
      reactions.ended(null);
      return Watched.OVER;
    }
    started = true;
    return new WatchedChannel(this, socket.descriptor(), reactions);
  }

  private synchronized void start(String threadName, Inbox.Maker maker, Reactions reactions) {
    if (closed) {
      reactions.ended(null);
      return;
    }
    started = true;
    Thread thread = new Thread(() -> run(maker, reactions), threadName);
    thread.setDaemon(true);
    thread.start();
  }

  private void run(Inbox.Maker maker, Reactions reactions) {
    Throwable cause = null;
    try (Inbox inbox = maker.make()) {
      receiveAll(inbox, reactions);
    } catch (Throwable e) { // whatever it is, somebody has to hear that nothing comes any more
      cause = e;
    }
    leave(reactions, cause);
  }

  /** Nobody receives any more. */
  void leave(Reactions reactions, Throwable cause) {
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

  private void receiveAll(Inbox inbox, Reactions reactions) throws Exception {
    FrameScanner frames = framesIn(inbox);
    while (receive(inbox, frames, true) > 0) {
      reactions.arrived(frames);
    }
    frames.requireFinished();
  }

  FrameScanner framesIn(Inbox inbox) {
    return new FrameScanner(inbox.bytes(), peer, name);
  }

  /**
   * Takes what has come.
   *
   * @return how many bytes; 0 at the end of the connection; {@link #NOTHING_YET} only if it is not
   *     to wait
   */
  long receive(Inbox inbox, FrameScanner frames, boolean wait) throws IOException {
    int room = inbox.makeRoom(frames);
    ByteBuf in = inbox.bytes();
    if (early.isReadable()) {
      int taken = Math.min(room, early.readableBytes());
      in.writeBytes(early, taken);
      return taken;
    }
    long address = in.memoryAddress() + in.writerIndex();
    long received =
        wait ? inbox.receive(socket, address, room) : socket.receive(address, room, false);
    if (received > 0) {
      in.writerIndex(in.writerIndex() + (int) received);
    } else if (received < 0 && received != NOTHING_YET) {
      throw failure("recv", received);
    }
    return received;
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
  private boolean sendIfMuch() {
    return out.readableBytes() < OUT_BYTES || sendAll(false);
  }

  /**
   * Sends what was written, and then pages whose bytes lie elsewhere; waits until the kernel has
   * taken all of it. A few pages are only appended, and go out with more or by the next {@link
   * #flush()}. From any thread.
   *
   * @param pages direct memory
   * @param index of the first byte
   * @return false if the connection has ended, or ends because of this
   */
  public boolean sendPages(long guestPhysicalAddress, int pageCount, ByteBuf pages, int index) {
    sending.lock();
    try {
      if (released) {
        return false;
      }
      return sendBody(
          pages, index, writer.dataHeader(0, guestPhysicalAddress, pageCount, pages, index));
    } finally {
      sending.unlock();
    }
  }

  /** Whether the peer reads {@link #sendMixed}. */
  public boolean takesMixed() {
    return peer.takesMixed();
  }

  /**
   * The same for pages of which some are zeros.
   *
   * @param index of the bits, which the bytes of the pages follow, as {@link ward.wire.MixedPages}
   *     has them
   * @param bodyBytes of both
   */
  public boolean sendMixed(
      long guestPhysicalAddress, int pageCount, ByteBuf pages, int index, int bodyBytes) {
    sending.lock();
    try {
      if (released) {
        return false;
      }
      writer.mixedHeader(guestPhysicalAddress, pageCount, pages, index, bodyBytes);
      return sendBody(pages, index, bodyBytes);
    } finally {
      sending.unlock();
    }
  }

  /** Behind its header. */
  private boolean sendBody(ByteBuf bytes, int index, int bodyBytes) {
    if (bodyBytes <= COPIED_BYTES) {
      out.writeBytes(bytes, index, bodyBytes);
      return sendIfMuch();
    }
    return sendAll(true) && send(bytes.memoryAddress() + index, bodyBytes, false);
  }

  /**
   * Sends what was written, and waits until the kernel has taken it. Where that fails, the
   * connection ends. From any thread.
   */
  public void flush() {
    sending.lock();
    try {
      if (!released) {
        sendAll(false);
      }
    } finally {
      sending.unlock();
    }
  }

  /**
   * @param more whether the rest follows at once, so that no segment goes out for this alone
   */
  private boolean sendAll(boolean more) {
    boolean sent = !out.isReadable() || send(out.memoryAddress(), out.readableBytes(), more);
    out.clear();
    return sent;
  }

  private boolean send(long address, int lengthBytes, boolean more) {
    boolean sent = socket.send(address, lengthBytes, more) == 0;
    if (!sent) {
      socket.end(); // its reader tells
    }
    return sent;
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
      early.release();
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
