package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.ByteArrayOutputStream;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/** What drivers do to a 16550A, and what they expect of it. */
class SerialPortTest {

  private static final int DATA = 0;
  private static final int IER = 1;
  private static final int IIR = 2;
  private static final int FCR = 2;
  private static final int LCR = 3;
  private static final int MCR = 4;
  private static final int LSR = 5;
  private static final int MSR = 6;
  private static final int SCR = 7;

  private static final int NO_INTERRUPT = 1;
  private static final int TRANSMITTER_EMPTY = 2;
  private static final int RECEIVED = 4;

  private final ByteArrayOutputStream sent = new ByteArrayOutputStream();
  private final Console console = new Console(sent);
  private final List<Boolean> line = new ArrayList<>();
  private final SerialPort port = attached(console, line);

  private static SerialPort attached(Console console, List<Boolean> line) {
    SerialPort port = new SerialPort(line::add, console);
    console.attach(port);
    return port;
  }

  private void type(String text) throws Exception {
    console.type(text.getBytes(StandardCharsets.US_ASCII));
  }

  private String readAll() throws Exception {
    StringBuilder text = new StringBuilder();
    while ((port.read(LSR) & 1) != 0) {
      text.append((char) port.read(DATA));
    }
    return text.toString();
  }

  @Test
  void whatIsSentReachesTheConsoleAndTheTransmitterIsAtOnceEmptyAgain() throws Exception {
    for (char character : "hello\n".toCharArray()) {
      port.write(DATA, character);
    }

    assertThat(sent.toString(StandardCharsets.US_ASCII)).isEqualTo("hello\n");
    assertThat(port.read(LSR)).isEqualTo(0x60);
  }

  @Test
  void aDriverThatAsksForIt_isToldOnceThatTheTransmitterIsEmpty() throws Exception {
    port.write(IER, 2);

    assertThat(line).containsExactly(true);
    assertThat(port.read(IIR)).isEqualTo(TRANSMITTER_EMPTY);
    assertThat(line).containsExactly(true, false);
    assertThat(port.read(IIR)).isEqualTo(NO_INTERRUPT);
  }

  @Test
  void eachByteSentIsFollowedByTheNewsThatThereIsRoomAgain() throws Exception {
    port.write(IER, 2);
    port.read(IIR);

    port.write(DATA, 'x');

    assertThat(port.read(IIR)).isEqualTo(TRANSMITTER_EMPTY);
    assertThat(line).containsExactly(true, false, true, false);
  }

  @Test
  void nobodyWhoDidNotAskIsInterrupted() throws Exception {
    port.write(DATA, 'x');
    type("y");

    assertThat(line).isEmpty();
    assertThat(port.read(IIR)).isEqualTo(NO_INTERRUPT);
  }

  @Test
  void whatIsTypedInterruptsUntilItHasBeenRead() throws Exception {
    port.write(IER, 1);

    type("ab");

    assertThat(line).containsExactly(true);
    assertThat(port.read(IIR)).isEqualTo(RECEIVED);
    assertThat(port.read(LSR)).isEqualTo(0x61);
    assertThat(readAll()).isEqualTo("ab");
    assertThat(line).containsExactly(true, false);
    assertThat(port.read(DATA)).isZero();
  }

  @Test
  void whatWasReceivedIsToldBeforeTheEmptyTransmitter() throws Exception {
    port.write(IER, 3);
    type("a");

    assertThat(port.read(IIR)).isEqualTo(RECEIVED);
    port.read(DATA);
    assertThat(port.read(IIR)).isEqualTo(TRANSMITTER_EMPTY);
  }

  @Test
  void moreThanThePortHoldsWaitsAtTheConsoleAndNothingIsLost() throws Exception {
    String text = "a line that is a good deal longer than the port's sixteen bytes";

    type(text);

    assertThat(readAll()).isEqualTo(text);
  }

  @Test
  void whatWasTypedBeforeThereWasAPortIsReceivedWhenItIsRestored() throws Exception {
    Console early = new Console(sent);
    early.type(new byte[] {'q'});
    SerialPort late = attached(early, line);

    late.restore(SerialPort.reset());

    assertThat(late.read(DATA)).isEqualTo('q');
  }

  @Test
  void clearingTheQueueDropsWhatWasReceived() throws Exception {
    port.write(IER, 1);
    type("a");

    port.write(FCR, 1 | 2);

    assertThat(port.read(LSR)).isEqualTo(0x60);
    assertThat(line).containsExactly(true, false);
  }

  /** How Linux's 8250 driver finds out that it has a 16550A ({@code autoconfig} in 8250_port.c). */
  @Test
  void theQueuesOfA16550aAreFound() throws Exception {
    assertThat(port.read(IIR) >> 6).isZero();

    port.write(FCR, 1);

    assertThat(port.read(IIR)).isEqualTo(0xc0 | NO_INTERRUPT);
  }

  @Test
  void inTheLoopTheModemLinesComeBackAndNothingIsSent() throws Exception {
    port.write(MCR, 0x10 | 0x0a);
    port.write(DATA, 'x');

    assertThat(port.read(MSR) & 0xf0).isEqualTo(0x90);
    assertThat(sent.size()).isZero();
    assertThat(port.read(DATA)).isEqualTo('x');
  }

  @Test
  void withoutTheLoopTheModemIsReady() throws Exception {
    assertThat(port.read(MSR)).isEqualTo(0xb0);
  }

  @Test
  void onlyTheDefinedInterruptsCanBeAskedFor() throws Exception {
    port.write(IER, 0xff);

    assertThat(port.read(IER)).isEqualTo(0x0f);
  }

  @Test
  void theDivisorIsBehindItsBitAndDataIsNot() throws Exception {
    port.write(LCR, 0x80);
    port.write(DATA, 12);
    port.write(IER, 1);

    assertThat(port.read(DATA)).isEqualTo(12);
    assertThat(port.read(IER)).isEqualTo(1);
    port.write(LCR, 3);
    assertThat(port.read(DATA)).isZero();
    assertThat(port.read(IER)).isZero();
    assertThat(sent.size()).isZero();
  }

  @Test
  void aPortGoesOnElsewhereWhereItWas() throws Exception {
    port.write(LCR, 0x80);
    port.write(DATA, 12);
    port.write(LCR, 3);
    port.write(FCR, 1);
    port.write(MCR, 0x0b);
    port.write(SCR, 0x5a);
    port.write(IER, 3);
    type("a");
    List<Boolean> otherLine = new ArrayList<>();
    SerialPort other = attached(new Console(sent), otherLine);

    other.restore(port.state());

    assertThat(other.state()).isEqualTo(port.state()).hasSize(SerialPort.STATE_BYTES);
    assertThat(otherLine).containsExactly(true);
    assertThat(other.read(IIR)).isEqualTo(0xc0 | RECEIVED);
    assertThat(other.read(DATA)).isEqualTo('a');
    assertThat(other.read(IIR)).isEqualTo(0xc0 | TRANSMITTER_EMPTY);
    assertThat(other.read(SCR)).isEqualTo(0x5a);
    assertThat(other.read(LCR)).isEqualTo(3);
    assertThat(other.read(MCR)).isEqualTo(0x0b);
  }

  @Test
  void aStateThatClaimsTooManyBytesGivesSixteen() throws Exception {
    byte[] state = SerialPort.reset();
    state[8] = (byte) 200;

    port.restore(state);

    assertThat(readAll()).hasSize(16);
  }

  @Test
  void thereIsNoNinthRegister() {
    assertThatThrownBy(() -> port.read(8))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("register 8; there are 8");
    assertThatThrownBy(() -> port.write(8, 0)).isInstanceOf(IllegalArgumentException.class);
  }
}
