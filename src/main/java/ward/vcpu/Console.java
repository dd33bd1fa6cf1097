package ward.vcpu;

import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.OptionalInt;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.kernel.KernelCallException;

/**
 * The far end of a guest's serial line: where its output goes, and what is typed to it.
 *
 * <p>What was typed and not yet read into the guest's port stays here; it does not travel.
 */
public final class Console {

  private static final Logger LOG = LoggerFactory.getLogger(Console.class);

  private final OutputStream output;
  private final Deque<Byte> typed = new ArrayDeque<>();
  private SerialPort port; // null before the guest is there
  private boolean broken;

  /**
   * @param output receives every byte, and is flushed after each line
   */
  public Console(OutputStream output) {
    this.output = output;
  }

  /** A line that nobody listens to. */
  public static Console unheard() {
    return new Console(OutputStream.nullOutputStream());
  }

  /** Types to the guest, which reads it when it likes; kept while there is no guest yet. */
  public void type(byte[] input) throws KernelCallException {
    SerialPort receiver = keep(input);
    if (receiver != null) {
      receiver.receive();
    }
  }

  private synchronized SerialPort keep(byte[] input) {
    for (byte character : input) {
      typed.add(character);
    }
    return port;
  }

  synchronized void attach(SerialPort receiver) {
    port = receiver;
  }

  synchronized OptionalInt nextTyped() {
    Byte character = typed.poll();
    return character == null ? OptionalInt.empty() : OptionalInt.of(Byte.toUnsignedInt(character));
  }

  /** A guest does not stop because nobody can write down what it says. */
  synchronized void put(int character) {
    if (broken) {
      return;
    }
    try {
      output.write(character);
      if (character == '\n') {
        output.flush();
      }
    } catch (IOException e) {
      broken = true;
      LOG.error("the console's output cannot be written, and is dropped from here on", e);
    }
  }
}
