package ward.kernel;

import jnr.constants.platform.Errno;

/**
 * A connected stream socket for threads that wait in it, filled and emptied at addresses: a page
 * goes from the socket to where an ioctl takes it without a copy on the Java side.
 *
 * <p>One thread may send while another receives; {@link #end()} may come from a third, and brings
 * both back. Close it when nobody is in a call any more.
 *
 * @see <a href="https://man7.org/linux/man-pages/man2/recv.2.html">recv(2)</a>
 */
public final class StreamSocket implements AutoCloseable {

  /**
   * Of bytes that nobody waits for: a kernel without preemption lets a thread that wakes up have
   * the processor when the call under way comes back, 2 MiB later or 30 microseconds.
   */
  public static final int CALL_BYTES_MAX = 128 << 10;

  /** Looked up once: the first compiler leaves the look-up of a constant on the way of a page. */
  private static final int INTERRUPTED = -Errno.EINTR.intValue();

  private final NativeKernel.Stubs stubs = NativeKernel.stubs();
  private final Fd fd;

  private StreamSocket(Fd fd) {
    this.fd = fd;
  }

  /**
   * Another descriptor of an open socket; the first one may be closed, and whoever goes on using it
   * waits where it did not before.
   *
   * @param name of the peer, for messages
   */
  public static StreamSocket take(int descriptor, String name) throws KernelCallException {
    long taken = NativeKernel.stubs().ward_socket_take(descriptor);
    if (taken < 0) {
      throw new KernelCallException("dup of a socket", name, (int) -taken);
    }
    return new StreamSocket(
        new Fd(name, (int) taken, open -> NativeKernel.stubs().ward_close(open)));
  }

  /**
   * Takes what has come.
   *
   * @param wait whether to wait for the first byte; otherwise {@code -EAGAIN} says that there is
   *     none
   * @return at least one byte, or 0 at the end of the connection, or {@code -errno}
   */
  public long receive(long address, long lengthBytes, boolean wait) {
    long received;
    do {
      received = stubs.ward_receive(fd.number(), address, lengthBytes, wait ? 1 : 0);
    } while (received == INTERRUPTED);
    return received;
  }

  /**
   * Sends all of it, however long the peer takes.
   *
   * @param more whether the next bytes follow at once, and may share a segment with these
   * @return 0 or {@code -errno}
   */
  public long send(long address, long lengthBytes, boolean more) {
    long done = 0;
    while (done < lengthBytes) {
      long piece = Math.min(lengthBytes - done, CALL_BYTES_MAX);
      boolean follows = more || done + piece < lengthBytes;
      long sent = stubs.ward_send(fd.number(), address + done, piece, follows ? 1 : 0);
      if (sent >= 0) {
        done += sent;
      } else if (sent != INTERRUPTED) {
        return sent;
      }
    }
    return 0;
  }

  /** For {@link Inputs}; it still belongs to this object. */
  public int descriptor() {
    return fd.number();
  }

  /** Ends the connection in both directions; calls that wait come back. */
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
