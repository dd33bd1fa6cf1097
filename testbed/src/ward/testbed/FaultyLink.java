package ward.testbed;

import java.io.IOException;
import java.io.InterruptedIOException;
import java.net.BindException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicLong;
import java.util.function.Consumer;
import ward.wire.ConnectionKind;

/**
 * What is between a destination and its source in a bad network: everything goes through it, and it
 * does to that what it is told, in front of exactly the byte that it is told.
 *
 * <p>All methods may be called at any time, from any thread. Faults that are drawn from a seed
 * ({@link Fault#draw}) happen at the same bytes in every run.
 */
final class FaultyLink implements AutoCloseable {

  private static final InetAddress HERE = InetAddress.getLoopbackAddress();

  private static final int PORT_MIN = 15_000;
  private static final int PORT_MAX = 32_000;
  private static final int PORT_TRIES = 1_000;

  private volatile InetSocketAddress source;
  private final int port;
  private final List<Armed> faults = new CopyOnWriteArrayList<>();
  private final Set<FaultyConnection> connections = ConcurrentHashMap.newKeySet();
  private final Map<String, AtomicLong> counts = new ConcurrentHashMap<>();
  private final Map<String, AtomicLong> carried = new ConcurrentHashMap<>();
  private volatile Duration latency = Duration.ZERO;
  private volatile Consumer<Fault.Act> acts = act -> {};
  private volatile long lastAsked = -1;
  private volatile long lastSent = -1;
  private volatile Sluice sluice; // null: connections go through as they come
  private ServerSocket listening;
  private Thread accepting;
  private Socket placeholder; // keeps the port, and lets the kernel refuse whoever comes
  private boolean closed;

  /** A fault and how often it may still happen. */
  record Armed(Fault fault, AtomicInteger left) {

    /** Whether it is this time's turn. */
    boolean take() {
      return left.getAndUpdate(n -> n == Fault.ALWAYS ? n : Math.max(0, n - 1)) > 0;
    }
  }

  /**
   * Accepts connections at once.
   *
   * @param source where they lead; null: nowhere yet
   */
  FaultyLink(InetSocketAddress source) throws IOException {
    this.source = source;
    listening = listeningAnywhere();
    port = listening.getLocalPort();
    acceptFrom(listening);
  }

  /**
   * Below the ports that outgoing connections get (ip_local_port_range): one of those could take
   * this one while nobody listens on it.
   */
  private static ServerSocket listeningAnywhere() throws IOException {
    for (int tries = 0; ; tries++) {
      int port = ThreadLocalRandom.current().nextInt(PORT_MIN, PORT_MAX);
      try {
        return new ServerSocket(port, 0, HERE);
      } catch (BindException taken) {
        if (tries == PORT_TRIES) {
          throw taken;
        }
      }
    }
  }

  /** Where a destination connects instead of to its source. */
  InetSocketAddress address() {
    return new InetSocketAddress(HERE, port);
  }

  /** Arms it, for connections that are open too. */
  void inject(Fault fault) {
    faults.add(new Armed(fault, new AtomicInteger(fault.times())));
  }

  /** Where connections that come from now on lead; those that waited too. */
  synchronized void leadTo(InetSocketAddress otherSource) {
    source = otherSource;
    notifyAll();
  }

  /** What has come for connections of a kind, Hellos included. */
  long carriedBytes(ConnectionKind kind, LinkDirection direction) {
    return carried.getOrDefault(kind + " " + direction, new AtomicLong()).get();
  }

  void carried(ConnectionKind kind, LinkDirection direction, int bytes) {
    carried.computeIfAbsent(kind + " " + direction, one -> new AtomicLong()).addAndGet(bytes);
  }

  /** Connections wait until it is known where they lead. */
  synchronized void leadNowhere() {
    source = null;
  }

  private synchronized InetSocketAddress awaitSource() throws InterruptedException {
    while (source == null) {
      wait();
    }
    return source;
  }

  /** The guest-physical address that was asked for last; -1 if none was. */
  long lastAsked() {
    return lastAsked;
  }

  /** The one whose content went through last, or is going through; -1 if none was. */
  long lastSent() {
    return lastSent;
  }

  /** A part of a frame is about to go through. */
  void passes(int frameKind, long address) {
    if (frameKind == Fault.REQUEST) {
      lastAsked = address;
    } else if (frameKind == Fault.DATA) {
      lastSent = address;
    }
  }

  /** What {@link Fault.Act}s do; called on a connection's thread. */
  void onAct(Consumer<Fault.Act> doing) {
    acts = doing;
  }

  void perform(Fault.Act act) {
    acts.accept(act);
  }

  /**
   * Holds the next connections until all of them have come, or for some time, and lets them through
   * in another order.
   *
   * @param order a permutation of 0 to n - 1
   */
  void reorder(List<Integer> order, Duration atMost) {
    sluice = new Sluice(order, atMost);
  }

  /** Takes back all faults that have not happened. */
  void heal() {
    faults.clear();
    latency = Duration.ZERO;
  }

  /** Every chunk of bytes, in both directions, takes so much longer. */
  void delay(Duration time) {
    latency = time;
    if (!time.isZero()) {
      count("Delay");
    }
  }

  /** Both ends of every open connection get a reset. */
  void resetAll() {
    count("ResetAll"); // before anybody can notice
    connections.forEach(FaultyConnection::reset);
  }

  /** Whoever connects from now on is refused (ECONNREFUSED); open connections stay. */
  synchronized void refuse() throws IOException {
    if (placeholder == null && !closed) {
      listening.close();
      awaitAcceptor();
      placeholder = new Socket();
      placeholder.setReuseAddress(true);
      placeholder.bind(new InetSocketAddress(HERE, port));
      count("Refuse");
    }
  }

  /** The kernel listens on until the thread that waits in accept(2) has noticed. */
  private void awaitAcceptor() throws IOException {
    try {
      accepting.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new InterruptedIOException("while the port was being closed");
    }
  }

  /** Ends {@link #refuse}. */
  synchronized void accept() throws IOException {
    if (placeholder != null && !closed) {
      placeholder.close();
      placeholder = null;
      listening = new ServerSocket();
      listening.setReuseAddress(true);
      listening.bind(new InetSocketAddress(HERE, port));
      acceptFrom(listening);
    }
  }

  /** Both, and returns at once. A second one while it refuses does not make that longer. */
  void refuseFor(Duration time) throws IOException {
    refuse();
    start(
        "refusing",
        () -> {
          Thread.sleep(time.toMillis());
          accept();
        });
  }

  /** What has happened so far, by the name of the effect, and how many connections there were. */
  Map<String, Long> counts() {
    Map<String, Long> snapshot = new TreeMap<>();
    counts.forEach((name, count) -> snapshot.put(name, count.get()));
    return snapshot;
  }

  /** How often one effect has happened. */
  long count(Class<? extends Fault.Effect> effect) {
    return counts().getOrDefault(effect.getSimpleName(), 0L);
  }

  private void count(String what) {
    counts.computeIfAbsent(what, name -> new AtomicLong()).incrementAndGet();
  }

  private void acceptFrom(ServerSocket server) {
    accepting =
        start(
            "accepting",
            () -> {
              while (true) {
                Socket destination = server.accept();
                start("connecting", () -> connect(destination));
              }
            });
  }

  private void connect(Socket destination) throws IOException, InterruptedException {
    InetSocketAddress end = awaitSource();
    Sluice held = sluice;
    if (held != null && held.pass()) {
      count("Overtaken");
    }
    Socket onwards = new Socket();
    onwards.setTcpNoDelay(true);
    destination.setTcpNoDelay(true);
    try {
      onwards.connect(end);
    } catch (IOException nobodyThere) {
      onwards.close();
      destination.setSoLinger(true, 0);
      destination.close();
      return;
    }
    count("Connection");
    FaultyConnection connection = new FaultyConnection(this, destination, onwards);
    connections.add(connection);
    for (LinkDirection direction : LinkDirection.values()) {
      start(direction.name(), () -> connection.pump(direction));
    }
    if (isClosed()) {
      connection.reset(); // it came between the last look at them and the end of listening
    }
  }

  private synchronized boolean isClosed() {
    return closed;
  }

  private interface Task {
    void run() throws IOException, InterruptedException;
  }

  /** On a thread of its own, until a socket that it works with is closed. */
  private static Thread start(String name, Task task) {
    Thread thread =
        new Thread(
            () -> {
              try {
                task.run();
              } catch (IOException over) {
                // closed by either end, or by a fault
              } catch (InterruptedException e) {
                Thread.currentThread().interrupt();
              }
            },
            "faulty-link-" + name);
    thread.setDaemon(true);
    thread.start();
    return thread;
  }

  // --- for its connections -------------------------------------------------------------------

  /**
   * What may happen to a span, in the order of its bytes.
   *
   * @param at byte of the span
   */
  record Hit(int at, Armed armed) {
    Fault.Effect effect() {
      return armed.fault().effect();
    }
  }

  List<Hit> hits(ConnectionKind kind, LinkDirection direction, FrameTracker.Span span) {
    List<Hit> hits = new ArrayList<>();
    for (Armed armed : faults) {
      long at = positionIn(span, armed.fault().trigger());
      if (at >= 0 && isFor(armed.fault(), kind, direction)) {
        hits.add(new Hit((int) at, armed));
      }
    }
    hits.sort(Comparator.comparingInt(Hit::at));
    return hits;
  }

  private static boolean isFor(Fault fault, ConnectionKind kind, LinkDirection direction) {
    return fault.direction() == direction && (fault.kind() == null || fault.kind() == kind);
  }

  /** Whether it happens now; then it is counted. */
  boolean happens(Hit hit) {
    boolean happens = hit.armed().take();
    if (happens && !(hit.effect() instanceof Fault.ResetAll)) { // which counts itself
      count(hit.effect().name());
    }
    return happens;
  }

  /** -1 if it is not there. */
  private static long positionIn(FrameTracker.Span span, Fault.Trigger trigger) {
    long at = -1;
    if (trigger instanceof Fault.AtByte there) {
      at = there.offset() - span.start();
    } else if (trigger instanceof Fault.InBody there
        && span.bodyOffset() >= 0
        && there.frameKind() == span.frameKind()
        && there.firstFrame() <= span.frameNumber()) {
      at = there.offset() - span.bodyOffset();
    }
    return at >= 0 && at < span.length() ? at : -1;
  }

  Duration latency() {
    return latency;
  }

  void ended(FaultyConnection connection) {
    connections.remove(connection);
  }

  @Override
  public void close() throws IOException {
    synchronized (this) {
      closed = true;
      listening.close();
      if (placeholder != null) {
        placeholder.close();
      }
    }
    connections.forEach(FaultyConnection::reset);
  }
}
