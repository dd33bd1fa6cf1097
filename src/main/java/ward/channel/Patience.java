package ward.channel;

import jnr.constants.platform.Errno;
import ward.kernel.StreamSocket;

/**
 * Looks for a while before it waits, where that has paid: a thread that waits on an idle processor
 * is woken 10 to 50 microseconds late in a virtual machine, about as long as a page takes to come.
 *
 * <p>Whether it pays is learnt: each wait that ended while it was looked for is one to the good,
 * each that did not costs several. With a single processor nobody looks, as the peer could not go
 * on meanwhile.
 */
final class Patience {

  private static final long LOOK_NANOS = 50_000;
  private static final int CREDIT_MAX = 16;
  private static final int PRICE = 4;

  /** Of waits without a look, this one looks again: circumstances change. */
  private static final int PROBE_EVERY = 64;

  private static final int WOULD_WAIT = -Errno.EAGAIN.intValue();

  private final boolean alone = Runtime.getRuntime().availableProcessors() == 1;
  private int credit = CREDIT_MAX;
  private int waits;

  /** As {@link StreamSocket#receive}, which waits. */
  long receive(StreamSocket socket, long address, long lengthBytes) {
    long received = isWorthALook() ? look(socket, address, lengthBytes) : WOULD_WAIT;
    return received == WOULD_WAIT ? socket.receive(address, lengthBytes, true) : received;
  }

  private boolean isWorthALook() {
    return !alone && (credit > 0 || ++waits % PROBE_EVERY == 0);
  }

  private long look(StreamSocket socket, long address, long lengthBytes) {
    long until = System.nanoTime() + LOOK_NANOS;
    long received;
    do {
      received = socket.receive(address, lengthBytes, false);
    } while (received == WOULD_WAIT && System.nanoTime() < until);
    credit =
        received == WOULD_WAIT ? Math.max(0, credit - PRICE) : Math.min(CREDIT_MAX, credit + 1);
    return received;
  }
}
