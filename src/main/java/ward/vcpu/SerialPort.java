package ward.vcpu;

import java.util.ArrayDeque;
import java.util.Deque;
import java.util.OptionalInt;
import ward.kernel.KernelCallException;

/**
 * A 16550A serial port, as far as an operating system's driver looks: what is sent has left at
 * once, nothing arrives damaged, and the modem at the other end is always ready.
 *
 * <pre>
 * register   read                      write               while LCR.DLAB is set
 *    0       RBR received byte         THR byte to send    DLL divisor, low
 *    1       IER interrupts wanted     IER                 DLM divisor, high
 *    2       IIR why it interrupts     FCR queue control
 *    3       LCR format, DLAB          LCR
 *    4       MCR modem lines, loop     MCR
 *    5       LSR line status           -
 *    6       MSR modem status          -
 *    7       SCR scratch               SCR
 * </pre>
 *
 * @see <a href="https://www.ti.com/lit/ds/symlink/pc16550d.pdf">PC16550D data sheet, section 8</a>
 */
public final class SerialPort implements ByteRegisters {

  /** The name of its state among the machine's sections; a guest without it has no serial port. */
  public static final String SECTION = "ward_serial";

  /**
   * The registers in the order IER, FCR, LCR, MCR, SCR, DLL, DLM, then whether an empty transmitter
   * is still to be told, the number of received bytes, 7 zeros, and the received bytes.
   */
  static final int STATE_BYTES = 32;

  private static final int STATE_RECEIVED_COUNT = 8;
  private static final int STATE_RECEIVED = 16;

  private static final int DATA = 0;
  private static final int INTERRUPT_ENABLE = 1;
  private static final int INTERRUPT_IDENTITY = 2;
  private static final int LINE_CONTROL = 3;
  private static final int MODEM_CONTROL = 4;
  private static final int LINE_STATUS = 5;
  private static final int MODEM_STATUS = 6;
  private static final int SCRATCH = 7;

  private static final int IER_RECEIVED = 1;
  private static final int IER_TRANSMITTER_EMPTY = 1 << 1;
  private static final int IER_DEFINED = 0x0f;
  private static final int IIR_NONE = 1;
  private static final int IIR_TRANSMITTER_EMPTY = 2;
  private static final int IIR_RECEIVED = 4;
  private static final int IIR_QUEUES_ON = 0xc0;
  private static final int FCR_QUEUES_ON = 1;
  private static final int FCR_CLEAR_RECEIVED = 1 << 1;
  private static final int LCR_DIVISOR = 1 << 7;
  private static final int MCR_LOOP = 1 << 4;
  private static final int MCR_DEFINED = 0x1f;
  private static final int LSR_TRANSMITTER_EMPTY = 0x60;
  private static final int LSR_RECEIVED = 1;
  private static final int MSR_CLEAR_TO_SEND = 1 << 4;
  private static final int MSR_DATA_SET_READY = 1 << 5;
  private static final int MSR_RING = 1 << 6;
  private static final int MSR_CARRIER = 1 << 7;

  private static final int QUEUE_BYTES = 16;

  private final InterruptLine line;
  private final Console console;
  private final Deque<Integer> received = new ArrayDeque<>();
  private int interruptEnable;
  private int queueControl;
  private int lineControl;
  private int modemControl;
  private int scratch;
  private int divisorLow;
  private int divisorHigh;
  private boolean emptyIsNews;
  private boolean asserted;

  SerialPort(InterruptLine line, Console console) {
    this.line = line;
    this.console = console;
  }

  /** The state of a port that nobody has used yet. */
  public static byte[] reset() {
    return new byte[STATE_BYTES];
  }

  @Override
  public int count() {
    return 8;
  }

  @Override
  public synchronized int read(int register) throws KernelCallException {
    int value = value(register);
    drawLine();
    return value;
  }

  private int value(int register) {
    return switch (register) {
      case DATA -> isDivisorOpen() ? divisorLow : takeReceived();
      case INTERRUPT_ENABLE -> isDivisorOpen() ? divisorHigh : interruptEnable;
      case INTERRUPT_IDENTITY -> takeInterruptIdentity();
      case LINE_CONTROL -> lineControl;
      case MODEM_CONTROL -> modemControl;
      case LINE_STATUS -> LSR_TRANSMITTER_EMPTY | (received.isEmpty() ? 0 : LSR_RECEIVED);
      case MODEM_STATUS -> modemStatus();
      case SCRATCH -> scratch;
      default -> throw new IllegalArgumentException("register " + register + "; there are 8");
    };
  }

  @Override
  public synchronized void write(int register, int value) throws KernelCallException {
    switch (register) {
      case DATA -> writeData(value);
      case INTERRUPT_ENABLE -> writeInterruptEnable(value);
      case INTERRUPT_IDENTITY -> writeQueueControl(value);
      case LINE_CONTROL -> lineControl = value;
      case MODEM_CONTROL -> modemControl = value & MCR_DEFINED;
      case LINE_STATUS, MODEM_STATUS -> {}
      case SCRATCH -> scratch = value;
      default -> throw new IllegalArgumentException("register " + register + "; there are 8");
    }
    drawLine();
  }

  private boolean isDivisorOpen() {
    return (lineControl & LCR_DIVISOR) != 0;
  }

  private boolean isLooped() {
    return (modemControl & MCR_LOOP) != 0;
  }

  private int takeReceived() {
    Integer character = received.poll();
    fetchTyped();
    return character == null ? 0 : character;
  }

  /** Telling that the transmitter is empty is over once it has been told. */
  private int takeInterruptIdentity() {
    int queues = (queueControl & FCR_QUEUES_ON) != 0 ? IIR_QUEUES_ON : 0;
    if (wantsReceivedTaken()) {
      return queues | IIR_RECEIVED;
    }
    if (wantsToSend()) {
      emptyIsNews = false;
      return queues | IIR_TRANSMITTER_EMPTY;
    }
    return queues | IIR_NONE;
  }

  private boolean wantsReceivedTaken() {
    return (interruptEnable & IER_RECEIVED) != 0 && !received.isEmpty();
  }

  private boolean wantsToSend() {
    return (interruptEnable & IER_TRANSMITTER_EMPTY) != 0 && emptyIsNews;
  }

  /** In the loop the modem's four lines are this side's own. */
  private int modemStatus() {
    if (!isLooped()) {
      return MSR_CARRIER | MSR_DATA_SET_READY | MSR_CLEAR_TO_SEND;
    }
    return ((modemControl & 1) != 0 ? MSR_DATA_SET_READY : 0)
        | ((modemControl & 2) != 0 ? MSR_CLEAR_TO_SEND : 0)
        | ((modemControl & 4) != 0 ? MSR_RING : 0)
        | ((modemControl & 8) != 0 ? MSR_CARRIER : 0);
  }

  private void writeData(int value) {
    if (isDivisorOpen()) {
      divisorLow = value;
      return;
    }
    if (!isLooped()) {
      console.put(value);
    } else if (received.size() < QUEUE_BYTES) {
      received.add(value);
    }
    emptyIsNews = true;
  }

  /** Drivers begin to send by asking for this interrupt: it comes although nothing has changed. */
  private void writeInterruptEnable(int value) {
    if (isDivisorOpen()) {
      divisorHigh = value;
      return;
    }
    emptyIsNews |= (value & ~interruptEnable & IER_TRANSMITTER_EMPTY) != 0;
    interruptEnable = value & IER_DEFINED;
  }

  private void writeQueueControl(int value) {
    queueControl = value & FCR_QUEUES_ON;
    if ((value & FCR_CLEAR_RECEIVED) != 0) {
      received.clear();
    }
  }

  /** Takes in what the console has, as far as there is room. */
  synchronized void receive() throws KernelCallException {
    fetchTyped();
    drawLine();
  }

  private void fetchTyped() {
    while (received.size() < QUEUE_BYTES) {
      OptionalInt character = console.nextTyped();
      if (character.isEmpty()) {
        return;
      }
      received.add(character.getAsInt());
    }
  }

  private void drawLine() throws KernelCallException {
    boolean wanted = wantsReceivedTaken() || wantsToSend();
    if (wanted != asserted) {
      asserted = wanted;
      line.level(wanted);
    }
  }

  /** {@link #STATE_BYTES} long. */
  synchronized byte[] state() {
    byte[] state = new byte[STATE_BYTES];
    int[] registers = {
      interruptEnable,
      queueControl,
      lineControl,
      modemControl,
      scratch,
      divisorLow,
      divisorHigh,
      emptyIsNews ? 1 : 0,
      received.size()
    };
    for (int i = 0; i < registers.length; i++) {
      state[i] = (byte) registers[i];
    }
    int at = STATE_RECEIVED;
    for (int character : received) {
      state[at++] = (byte) character;
    }
    return state;
  }

  /**
   * Puts a state in, and the interrupt line to where it was.
   *
   * @param state as {@link #state()} returned it
   */
  synchronized void restore(byte[] state) throws KernelCallException {
    interruptEnable = state[0] & IER_DEFINED;
    queueControl = state[1] & FCR_QUEUES_ON;
    lineControl = Byte.toUnsignedInt(state[2]);
    modemControl = state[3] & MCR_DEFINED;
    scratch = Byte.toUnsignedInt(state[4]);
    divisorLow = Byte.toUnsignedInt(state[5]);
    divisorHigh = Byte.toUnsignedInt(state[6]);
    emptyIsNews = state[7] != 0;
    received.clear();
    int count = Math.min(Byte.toUnsignedInt(state[STATE_RECEIVED_COUNT]), QUEUE_BYTES);
    for (int i = 0; i < count; i++) {
      received.add(Byte.toUnsignedInt(state[STATE_RECEIVED + i]));
    }
    fetchTyped();
    asserted = wantsReceivedTaken() || wantsToSend();
    line.level(asserted);
  }
}
