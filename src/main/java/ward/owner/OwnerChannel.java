package ward.owner;

import com.google.protobuf.MessageLite;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.Optional;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.LocalSocket;

/**
 * Messages of {@code proto/owner.proto}, each behind its length in four bytes, big-endian; a
 * descriptor may come along. For either end.
 *
 * <p>Any thread may send; one receives.
 */
public final class OwnerChannel implements AutoCloseable {

  /** The longest message, in bytes. */
  public static final int MESSAGE_BYTES_MAX = 16 << 20;

  private static final String DESCRIPTOR_NAME = "userfaultfd";

  private final LocalSocket socket;
  private byte[] read = new byte[0];
  private Optional<Fd> carried = Optional.empty();

  /**
   * @param socket closed with this
   */
  public OwnerChannel(LocalSocket socket) {
    this.socket = socket;
  }

  public void send(MessageLite message) throws KernelCallException {
    socket.send(framed(message));
  }

  /** Sends a copy of a descriptor along. */
  public void send(MessageLite message, Fd along) throws KernelCallException {
    socket.send(framed(message), along);
  }

  private static byte[] framed(MessageLite message) {
    byte[] body = message.toByteArray();
    return ByteBuffer.allocate(Integer.BYTES + body.length).putInt(body.length).put(body).array();
  }

  /**
   * Waits for the next message; empty at the end of the connection.
   *
   * @throws IOException if the connection breaks, or a length is out of bounds
   */
  public Optional<byte[]> next() throws IOException {
    Optional<byte[]> length = bytes(Integer.BYTES);
    if (length.isEmpty()) {
      return Optional.empty();
    }
    int bytes = ByteBuffer.wrap(length.get()).getInt();
    if (bytes < 0 || bytes > MESSAGE_BYTES_MAX) {
      throw new IOException(
          "%s announces a message of %d bytes; 0 to %d are allowed"
              .formatted(socket, Integer.toUnsignedLong(bytes), MESSAGE_BYTES_MAX));
    }
    return bytes(bytes);
  }

  private Optional<byte[]> bytes(int wanted) throws IOException {
    if (read.length < wanted && !readUntil(wanted)) {
      return Optional.empty();
    }
    byte[] taken = Arrays.copyOf(read, wanted);
    read = Arrays.copyOfRange(read, wanted, read.length);
    return Optional.of(taken);
  }

  private boolean readUntil(int wanted) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream(wanted);
    all.writeBytes(read);
    while (all.size() < wanted) {
      LocalSocket.Received received = socket.receive(DESCRIPTOR_NAME);
      received.carried().ifPresent(this::keep);
      if (received.bytes().length == 0) {
        return false;
      }
      all.writeBytes(received.bytes());
    }
    read = all.toByteArray();
    return true;
  }

  private void keep(Fd descriptor) {
    carried.ifPresent(Fd::close);
    carried = Optional.of(descriptor);
  }

  /** A descriptor that came along with the messages so far; the caller's to close. */
  public Optional<Fd> takeDescriptor() {
    Optional<Fd> taken = carried;
    carried = Optional.empty();
    return taken;
  }

  /** The process at the other end, or the one that listened there. */
  public long peerProcess() throws KernelCallException {
    return socket.peerProcess();
  }

  /** Ends the connection; whoever waits for a message hears of the end. */
  public void end() {
    socket.end();
  }

  @Override
  public void close() {
    carried.ifPresent(Fd::close);
    socket.close();
  }

  @Override
  public String toString() {
    return socket.toString();
  }
}
