package ward.kernel;

import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.file.Path;
import java.util.Optional;
import jnr.constants.platform.Errno;

/**
 * A UNIX stream socket that can carry descriptors (SCM_RIGHTS), as the JDK's cannot.
 *
 * <p>Calls wait. One thread may send while another receives; {@link #end()} may come from a third,
 * and brings both back. Close it when nobody is in a call any more.
 *
 * @see <a href="https://man7.org/linux/man-pages/man7/unix.7.html">unix(7)</a>
 */
public final class LocalSocket implements AutoCloseable {

  private static final int BUFFER_BYTES = 64 << 10;
  private static final int NONE = -1;

  private final NativeKernel.Stubs stubs = NativeKernel.stubs();
  private final Fd fd;
  private final NativeMemory incoming = NativeMemory.allocate(BUFFER_BYTES);
  private final NativeMemory outgoing = NativeMemory.allocate(BUFFER_BYTES);
  private final NativeMemory descriptor = NativeMemory.allocate(Integer.BYTES);

  private LocalSocket(Fd fd) {
    this.fd = fd;
  }

  /** Connects to whoever listens at a path. */
  public static LocalSocket connect(Path path) throws KernelCallException {
    long number = NativeKernel.stubs().ward_socket_connect(path.toString());
    return of("connect", path.toString(), number);
  }

  /**
   * Listens at a path, where nothing may be yet; see {@link #accept()}. The process that calls this
   * is the one that {@link #peerProcess()} names on the other side.
   */
  public static LocalSocket listen(Path path) throws KernelCallException {
    long number = NativeKernel.stubs().ward_socket_listen(path.toString());
    return of("bind and listen", path.toString(), number);
  }

  private static LocalSocket of(String call, String subject, long number)
      throws KernelCallException {
    require(call, subject, number);
    return new LocalSocket(
        new Fd(subject, (int) number, open -> NativeKernel.stubs().ward_close(open)));
  }

  private static long require(String call, String subject, long answer) throws KernelCallException {
    if (answer < 0) {
      throw new KernelCallException(call, subject, (int) -answer);
    }
    return answer;
  }

  /** Waits for the next connection. */
  public LocalSocket accept() throws KernelCallException {
    long answer;
    do {
      answer = stubs.ward_socket_accept(fd.number());
    } while (isInterrupted(answer));
    return of("accept", fd.toString(), answer);
  }

  private static boolean isInterrupted(long answer) {
    return answer == -Errno.EINTR.intValue();
  }

  /** The process at the other end; 0 if it is in a PID namespace that is hidden from this one. */
  public long peerProcess() throws KernelCallException {
    return require("SO_PEERCRED", fd.toString(), stubs.ward_socket_peer(fd.number()));
  }

  /** Sends all of the bytes. */
  public void send(byte[] bytes) throws KernelCallException {
    send(bytes, NONE);
  }

  /**
   * Sends all of the bytes, and a descriptor along with the first of them. The receiver gets a copy
   * that outlives ours.
   *
   * @param bytes at least one
   */
  public void send(byte[] bytes, Fd carried) throws KernelCallException {
    send(bytes, carried.number());
  }

  private synchronized void send(byte[] bytes, int carried) throws KernelCallException {
    int done = 0;
    while (done < bytes.length) {
      int length = Math.min(bytes.length - done, BUFFER_BYTES);
      outgoing.putBytes(0, java.util.Arrays.copyOfRange(bytes, done, done + length));
      int along = done == 0 ? carried : NONE;
      long sent = stubs.ward_socket_send(fd.number(), outgoing.address(), length, along);
      Reference.reachabilityFence(outgoing);
      if (!isInterrupted(sent)) {
        done += (int) require("sendmsg", fd.toString(), sent);
      }
    }
  }

  /**
   * What one call received.
   *
   * @param bytes none at the end of the connection
   * @param carried a descriptor that came along, the receiver's to close
   */
  public record Received(byte[] bytes, Optional<Fd> carried) {}

  /**
   * Waits for bytes.
   *
   * @param name of a descriptor that comes along, for messages
   */
  public Received receive(String name) throws IOException {
    long received;
    do {
      received =
          stubs.ward_socket_receive(
              fd.number(), incoming.address(), BUFFER_BYTES, descriptor.address());
      Reference.reachabilityFence(incoming);
    } while (isInterrupted(received));
    require("recvmsg", fd.toString(), received);
    int number = descriptor.getInt(0);
    Optional<Fd> carried =
        number == NONE ? Optional.empty() : Optional.of(new Fd(name, number, stubs::ward_close));
    return new Received(incoming.getBytes(0, (int) received), carried);
  }

  /** Ends the connection, or the listening, for both sides; a call that waits comes back. */
  public void end() {
    stubs.ward_socket_end(fd.number());
  }

  @Override
  public void close() {
    fd.close();
  }

  @Override
  public String toString() {
    return fd.toString();
  }
}
