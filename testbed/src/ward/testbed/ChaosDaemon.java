package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import jnr.constants.platform.Signal;
import jnr.posix.POSIX;
import jnr.posix.POSIXFactory;
import ward.cli.ControlClient;
import ward.wire.ControlMessage;

/** A daemon under chaos, known by its log: looking there costs it nothing. */
final class ChaosDaemon implements AutoCloseable {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final POSIX POSIX_CALLS = POSIXFactory.getPOSIX();
  private static final Pattern PHASE = Pattern.compile("INFO .*: [A-Z_]+ -> ([A-Z_]+): ");
  private static final Pattern PORT = Pattern.compile("listening on [^ ]*:(\\d+) ");

  private final Daemon daemon;
  private final Path socket;
  private final Path logFile;
  private final StringBuilder log = new StringBuilder();
  private long logBytes;
  private int searched; // characters of the log
  private String phase = "";

  /**
   * @param logFile where its standard error goes
   */
  ChaosDaemon(Daemon daemon, Path socket, Path logFile) {
    this.daemon = daemon;
    this.socket = socket;
    this.logFile = logFile;
  }

  long pid() {
    return daemon.pid();
  }

  boolean isAlive() {
    return daemon.isAlive();
  }

  Path socket() {
    return socket;
  }

  /** Standard error so far. */
  synchronized String log() {
    readOn();
    return log.toString();
  }

  private void readOn() {
    try (FileChannel file = FileChannel.open(logFile)) {
      ByteBuffer news = ByteBuffer.allocate((int) Math.max(0, file.size() - logBytes));
      while (news.hasRemaining() && file.read(news, logBytes + news.position()) > 0) {
        // a read may be short
      }
      logBytes += news.position();
      log.append(StandardCharsets.US_ASCII.decode(news.flip()));
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  synchronized boolean hasLogged(String text) {
    readOn();
    return log.indexOf(text) >= 0;
  }

  /** The phase that it entered last; empty before it entered any. */
  synchronized String phase() {
    readOn();
    Matcher entered = PHASE.matcher(log);
    while (entered.find(searched)) {
      phase = entered.group(1);
      searched = entered.end();
    }
    searched = Math.max(searched, log.lastIndexOf("\n"));
    return phase;
  }

  /** Where it listens, once it does. */
  synchronized Optional<Integer> port() {
    readOn();
    Matcher listening = PORT.matcher(log);
    return listening.find() ? Optional.of(Integer.valueOf(listening.group(1))) : Optional.empty();
  }

  JsonNode status() throws IOException {
    ControlMessage answer = send(new ControlMessage.StatusQuery());
    return JSON.readTree(((ControlMessage.Status) answer).json());
  }

  ControlMessage send(ControlMessage command) throws IOException {
    return ControlClient.send(socket, command);
  }

  /** What it printed at its end. */
  JsonNode result() throws IOException {
    return JSON.readTree(daemon.output());
  }

  /** SIGSTOP; nothing if it has ended. */
  void freeze() {
    signal(Signal.SIGSTOP);
  }

  /** SIGCONT. */
  void thaw() {
    signal(Signal.SIGCONT);
  }

  /** SIGQUIT: a Java virtual machine prints what its threads do. */
  void dumpThreads() {
    signal(Signal.SIGQUIT);
  }

  private void signal(Signal signal) {
    if (daemon.isAlive()) {
      POSIX_CALLS.kill((int) daemon.pid(), signal.intValue());
    }
  }

  /** SIGTERM. */
  void terminate() {
    daemon.terminate();
  }

  /** SIGKILL. */
  void kill() {
    daemon.kill();
  }

  /** The exit code of a daemon that ends. */
  int await(Deadline deadline) throws IOException {
    return daemon.await(deadline);
  }

  /** Standard output and standard error, for people. */
  String words() {
    return daemon.output() + log();
  }

  @Override
  public void close() {
    thaw(); // a stopped process dies of SIGKILL too, but one that waits for it should not wait
    daemon.close();
  }
}
