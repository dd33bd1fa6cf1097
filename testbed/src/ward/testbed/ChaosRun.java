package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ScheduledThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Pattern;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import ward.cli.ExitCode;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;
import ward.poison.PoisonLedger;
import ward.testbed.lab.DirectoryTree;
import ward.wire.ControlMessage;

/**
 * One migration in which the plan's faults happen, judged from outside.
 *
 * <p>An attempt may end before the guest has run at the destination, if something was done to it:
 * then the guest must be whole at the source, and an operator tries again. In the end the guest is
 * at the destination, whole but for what was lost.
 */
final class ChaosRun implements AutoCloseable {

  static final Duration TIME = Duration.ofMinutes(4);
  private static final Pattern RECONNECTED = Pattern.compile("reconnected after (\\d+) ms");
  private static final Pattern INJECTED = Pattern.compile("ward\\.poison: event=injected ");
  private static final int ATTEMPTS_MAX = 8;
  private static final int ATTEMPTS_WITH_FAULTS = 4;
  private static final int TIMER_THREADS = 4;
  private static final Duration HELD_AT_MOST = Duration.ofMillis(200);
  private static final int IN_FLIGHT_MILLIS_MAX = 30;
  private static final Set<String> ENDING =
      Set.of(
          "Flip",
          "Reset",
          "ResetAll",
          "Cut",
          "Outage",
          "Kill SOURCE",
          "Kill DESTINATION",
          "FillDisk SOURCE",
          "FillDisk DESTINATION");
  private static final Duration TRY_AGAIN = Duration.ofMillis(300);
  private static final Duration LETTING_GO = Duration.ofSeconds(3);

  private final ChaosPlan plan;
  private final Path directory;
  private final FileChannel memory;
  private final ChaosGuest guest;
  private final ChaosParties parties;
  private final ReportedLosses losses;
  private final ChaosVictims victims;
  private final Deadline deadline = new Deadline(TIME);
  private final ScheduledThreadPoolExecutor timer = new ScheduledThreadPoolExecutor(TIMER_THREADS);
  private final List<ChaosDaemon> daemons = new CopyOnWriteArrayList<>();
  private final List<String> failures = new ArrayList<>();
  private volatile ChaosDaemon source;
  private volatile ChaosDaemon destination;
  private final FaultyLink link;
  private final Set<ChaosSide> killed = ConcurrentHashMap.newKeySet(); // and not replaced yet
  private final AtomicLong killsOfSource = new AtomicLong();
  private final AtomicLong killsOfDestination = new AtomicLong();
  private volatile long vacantUntil;
  private boolean replacing;
  private boolean promisedByOneBefore; // a source of this attempt that has been replaced since
  private boolean closed;
  private volatile long destinationVacantUntil;
  private long harmEarlier; // before the attempt before this one
  private HolderProcess holder; // null where the destination owns the memory
  private final PageSet givenBackPages = new PageSet(); // by the guest
  private final List<String> giveBacks = new ArrayList<>(); // what the holder has to say of them
  private int wordsBefore; // characters that the source had logged before the attempt began
  private ChaosParties.Succession succession = ChaosParties.Succession.WHOLE;
  private int givenBack;
  private int lostWithDestination;
  private JsonNode lastStatus;

  ChaosRun(ChaosPlan plan, ChaosMeans means) throws IOException {
    this.plan = plan;
    // Poison markers in the source's mapping need memory that userfaultfd can register: tmpfs.
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-chaos-");
    memory =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    guest = ChaosGuest.make(plan, memory);
    link = new FaultyLink(null);
    link.onAct(this::perform);
    plan.faults().forEach(link::inject);
    parties = new ChaosParties(plan, guest, means, directory);
    losses = new ReportedLosses(guest.layout());
    victims = new ChaosVictims(guest, link);
  }

  /**
   * Runs it to its end.
   *
   * @param index goes into the result
   */
  ChaosResult run(long index) {
    long started = System.nanoTime();
    try {
      migrate();
    } catch (IOException | RuntimeException e) {
      failures.add(e.toString());
    }
    return result(index, TimeUnit.NANOSECONDS.toMillis(System.nanoTime() - started));
  }

  /** Times without a source, milliseconds: as destinations say when they have one again. */
  private LongStream breaks() {
    return daemons.stream()
        .flatMap(daemon -> RECONNECTED.matcher(daemon.log()).results())
        .mapToLong(result -> Long.parseLong(result.group(1)));
  }

  /** Of the kills only those that were not spared. */
  private Map<String, Long> injected() {
    Map<String, Long> counts = link.counts();
    if (daemons.stream().anyMatch(ChaosRun::hasNoticedFullDisk)) {
      counts.put("a full disk was noticed", 1L);
    }
    counts.computeIfPresent("GiveBack", (name, drawn) -> (long) giveBacks.size());
    counts.computeIfPresent("Kill SOURCE", (name, drawn) -> killsOfSource.get());
    counts.computeIfPresent("Kill DESTINATION", (name, drawn) -> killsOfDestination.get());
    return counts;
  }

  private ChaosResult result(long index, long millis) {
    boolean known = lastStatus != null;
    return new ChaosResult(
        index,
        injected(),
        breaks().count(),
        givenBack,
        lostWithDestination,
        losses.poisoned(),
        losses.held(),
        known ? lastStatus.get("faults").get("maxMicros").asDouble() / 1000 : 0,
        breaks().max().orElse(0),
        millis,
        List.copyOf(failures));
  }

  private void migrate() throws IOException {
    for (int attempt = 1; attempt <= ATTEMPTS_MAX; attempt++) {
      if (attempt > ATTEMPTS_WITH_FAULTS) {
        link.heal();
      }
      switch (attempt()) {
        case ARRIVED -> {
          judge();
          return;
        }
        case LOST_WITH_DESTINATION -> {
          lostWithDestination++;
          return;
        }
        case BEGUN_AGAIN -> lostWithDestination++;
        case GIVEN_BACK -> givenBack++;
        default -> throw new IllegalStateException();
      }
    }
    throw new IOException("the guest was given back %d times".formatted(givenBack));
  }

  /** How an attempt ended. */
  private enum Ending {
    /** The guest is at the destination. */
    ARRIVED,
    /** The guest never ran there; it is whole at the source. */
    GIVEN_BACK,
    /**
     * It died with the destination's process, and the operator starts it from the source's copy.
     */
    BEGUN_AGAIN,
    /** It died with the destination's process, and what it was at the source is gone. */
    LOST_WITH_DESTINATION
  }

  private Ending attempt() throws IOException {
    if (plan.guest() == ChaosPlan.Mover.HELD && holder == null) {
      holder = parties.startHolder();
      deadline.await("the memory's owner to listen", () -> holder.hasSaid("listening"));
    }
    parties.freeDisks();
    long harmBefore = harm();
    if (startBoth()) {
      awaitSource();
    }
    releaseStream();
    deadline.await("the migration and the guest to end", this::isOver);
    if (isArrived()) {
      return Ending.ARRIVED;
    }
    if (holder == null && killed.contains(ChaosSide.DESTINATION) && isPromised()) {
      return afterDeathOfDestination();
    }
    // What a destination's death has left on disk may cost the next attempt, too.
    requireGivenBack(harm() > (holder == null ? harmBefore : harmEarlier));
    harmEarlier = harmBefore;
    return Ending.GIVEN_BACK;
  }

  /**
   * Both start at the same time; the link holds the destination until the source is ready. No
   * daemon is killed in between: each death belongs to one attempt.
   *
   * @return whether the source is a new one
   */
  private boolean startBoth() throws IOException {
    synchronized (killed) {
      boolean isNew = source == null || isVacant() || !source.isAlive();
      if (isNew) {
        link.leadNowhere();
        source = watched(parties.startSource(succession));
        succession = ChaosParties.Succession.WHOLE;
      }
      wordsBefore = source.log().length();
      promisedByOneBefore = false;
      killed.clear();
      destination = watched(parties.startDestination(link.address()));
      return isNew;
    }
  }

  private ChaosDaemon watched(ChaosDaemon daemon) {
    daemons.add(daemon);
    return daemon;
  }

  private void awaitSource() throws IOException {
    deadline.await(
        "the source to listen",
        () -> {
          requireAlive(source, "source");
          return source.port().isPresent();
        });
    if (plan.guest() == ChaosPlan.Mover.MOVED) {
      deadline.await("every vCPU to have walked at the source", this::hasWalked);
    }
    leadToSource();
  }

  private void leadToSource() {
    link.leadTo(
        new InetSocketAddress(InetAddress.getLoopbackAddress(), source.port().orElseThrow()));
  }

  private static void requireAlive(ChaosDaemon daemon, String name) throws IOException {
    if (!daemon.isAlive()) {
      throw new IOException("the " + name + " ended early:\n" + daemon.log());
    }
  }

  private boolean hasWalked() throws IOException {
    return Files.exists(parties.sourceLog())
        && Witness.reports(List.of(parties.sourceLog())).passes().stream()
                .map(WalkerReports.PassDone::vcpu)
                .distinct()
                .count()
            == plan.vcpus();
  }

  private void releaseStream() {
    if (plan.streamHeldMillis() > 0) {
      ChaosDaemon held = source;
      after(Duration.ofMillis(plan.streamHeldMillis()), () -> letStream(held));
    }
  }

  private void letStream(ChaosDaemon held) {
    try {
      held.send(new ControlMessage.StreamControl(false));
    } catch (IOException ended) {
      // then there is nothing to stream
    }
  }

  /** Faults that may end an attempt. Others only make it slower, or lose pages. */
  private long harm() {
    return injected().entrySet().stream()
        .filter(count -> ENDING.contains(count.getKey()))
        .mapToLong(Map.Entry::getValue)
        .sum();
  }

  private boolean isOver() throws IOException {
    if (!destination.isAlive()) {
      replaceSourceIfDue();
      return !isToBeReplaced() && !isSourceStarting() && !isSourceDeciding();
    }
    String phase = destination.phase();
    if (phase.equals("UNFINISHED")) {
      throw new IOException("the destination gave up a guest that had run there");
    }
    if (phase.equals("COMPLETE")) {
      return destination.hasLogged("the guest ended: ");
    }
    replaceSourceIfDue();
    requireSourceServes();
    return false;
  }

  private boolean isArrived() {
    return destination.isAlive() && destination.phase().equals("COMPLETE");
  }

  // --- a source that was killed ----------------------------------------------------------------

  private void replaceSourceIfDue() throws IOException {
    if (isVacant() && System.nanoTime() >= vacantUntil) {
      promisedByOneBefore |= isPromised();
      source = watched(parties.startSource(ChaosParties.Succession.REPLACEMENT));
      killed.remove(ChaosSide.SOURCE);
      wordsBefore = 0;
      replacing = true;
    }
    if (replacing && !source.isAlive() && hasNoticedFullDisk(source)) {
      replacing = false;
      killed.add(ChaosSide.SOURCE); // the operator tries again a little later
      vacantUntil = System.nanoTime() + TRY_AGAIN.toNanos();
    }
    if (replacing && source.port().isPresent()) {
      replacing = false;
      leadToSource();
      releaseStream();
    }
  }

  /** Whether what the guest has become at the source is not known yet. */
  private boolean isSourceStarting() {
    return replacing && source.isAlive();
  }

  /** What a destination said before it was killed may still be on its way. */
  private boolean isSourceDeciding() throws IOException {
    return killed.contains(ChaosSide.DESTINATION)
        && !isVacant()
        && source.isAlive()
        && source.phase().equals("SENDING_MAP");
  }

  private boolean isVacant() {
    return killed.contains(ChaosSide.SOURCE);
  }

  private void requireSourceServes() throws IOException {
    boolean guestRan = destination.hasLogged("-> RUNNING");
    if (guestRan && !isVacant() && !source.isAlive()) {
      int code = source.await(deadline);
      if (code != 0 && !hasRefusedWhatWasHandedOver(code)) {
        throw new IOException(
            "the source ended with exit code %d while the guest was at the destination"
                .formatted(code));
      }
    }
  }

  /** A process that is started where another one had handed the guest over before it died. */
  private boolean hasRefusedWhatWasHandedOver(int code) {
    return code == ExitCode.INPUT_REFUSED.code()
        && source.hasLogged("the guest was handed over to");
  }

  // --- a destination that was killed, and whose guest lives on ---------------------------------

  /** Starts its successor if the time has come. */
  private boolean isToBeReplaced() throws IOException {
    boolean tooEarly = destination.hasLogged("another daemon is attached");
    if (holder == null || !killed.contains(ChaosSide.DESTINATION) && !tooEarly) {
      return false;
    }
    if (!tooEarly && !isPromised()) {
      return !hasSourceSettled(); // then it is given back
    }
    if (System.nanoTime() >= destinationVacantUntil) {
      killed.remove(ChaosSide.DESTINATION);
      destinationVacantUntil = System.nanoTime() + TRY_AGAIN.toNanos();
      destination = watched(parties.startDestination(link.address()));
    }
    return true;
  }

  /** Whether the source has said that the guest may run at the destination. */
  private boolean isPromised() {
    return promisedByOneBefore
        || source.log().indexOf("-> MAP_APPLIED", wordsBefore) >= 0
        || source.log().indexOf("going on with session", wordsBefore) >= 0;
  }

  private boolean hasSourceSettled() {
    return !isVacant() && !replacing && !source.phase().equals("SENDING_MAP");
  }

  // --- a destination that was killed -----------------------------------------------------------

  /** The guest is gone. The source keeps its copy, and never runs it by itself. */
  private Ending afterDeathOfDestination() throws IOException {
    boolean vacant = isVacant();
    if (!vacant) {
      source.terminate();
      int code = source.await(deadline);
      if (code == 0) {
        require(
            source.hasLogged("-> HANDING_OVER"),
            "the source let go before it could have been asked");
        return Ending.LOST_WITH_DESTINATION;
      }
      if (hasRefusedWhatWasHandedOver(code)) {
        return Ending.LOST_WITH_DESTINATION;
      }
      require(
          code == ExitCode.UNFINISHED_AFTER_RUN.code(),
          "the source of a guest that may have run elsewhere ended with exit code %d"
              .formatted(code));
      require(
          source.hasLogged("do not start the guest here")
              || source.hasLogged("only if the destination says that it never ran"),
          "the source did not say that the guest must not run there");
    }
    if (plan.guest() == ChaosPlan.Mover.MOVED) {
      return Ending.LOST_WITH_DESTINATION;
    }
    losses.beginAgain();
    succession = ChaosParties.Succession.BEGIN_AGAIN;
    return Ending.BEGUN_AGAIN;
  }

  // --- an attempt that came to nothing -------------------------------------------------------

  private void requireGivenBack(boolean somethingWasDone) throws IOException {
    int code = destination.await(deadline);
    require(somethingWasDone, "an attempt ended though nothing was done to it");
    require(
        !destination.hasLogged("-> RUNNING"), "the destination gave up a guest that had run there");
    if (!killed.contains(ChaosSide.DESTINATION)) {
      require(isGivenBack(code), "the destination ended with exit code %d".formatted(code));
      require(
          destination.hasLogged("the guest did not run here, it is still at the source"),
          "the destination did not say that the guest never ran there");
    }
    Deadline patience = new Deadline(LETTING_GO);
    while (!isWholeAtSource()) {
      if (patience.millisLeft() == 0) {
        decideForTheSource();
        return;
      }
      pause();
    }
  }

  /**
   * A source that heard too little of the destination to begin a migration waits for the next one.
   * One that does not know whether its guest ran elsewhere waits for the operator; who knows.
   */
  private void decideForTheSource() throws IOException {
    if (source.log().indexOf("LISTENING -> ", wordsBefore) < 0) {
      return;
    }
    source.terminate();
    require(
        source.await(deadline) == ExitCode.UNFINISHED_AFTER_RUN.code()
            && source.hasLogged("only if the destination says that it never ran"),
        "the source did not say that the guest may have run at the destination");
    require(
        plan.guest() != ChaosPlan.Mover.MOVED,
        "the source, which ran the guest, waited for a destination that had said that it never ran there");
    succession = ChaosParties.Succession.BEGIN_AGAIN;
  }

  private boolean isGivenBack(int code) {
    return code == ExitCode.UNFINISHED_BEFORE_RUN.code()
        || code == ExitCode.PEER_REFUSED.code()
        || code == ExitCode.HOST_REFUSED.code() && wasDiskFull();
  }

  private boolean wasDiskFull() {
    return injected().keySet().stream().anyMatch(name -> name.startsWith("FillDisk"));
  }

  private static boolean hasNoticedFullDisk(ChaosDaemon daemon) {
    return daemon.hasLogged("No space left on device");
  }

  private boolean isWholeAtSource() throws IOException {
    if (isVacant()) {
      return true;
    }
    if (source.isAlive()) {
      return source.log().indexOf("the guest runs on here", wordsBefore) >= 0;
    }
    int code = source.await(deadline);
    require(isGivenBack(code), "the source gave the guest back with exit code %d".formatted(code));
    require(
        plan.guest() != ChaosPlan.Mover.MOVED,
        "the source ended, and a guest that it could run on");
    require(source.hasLogged("it is whole here"), "the source did not say that the guest is whole");
    return true;
  }

  private static void require(boolean condition, String otherwise) throws IOException {
    if (!condition) {
      throw new IOException(otherwise);
    }
  }

  // --- faults ----------------------------------------------------------------------------------

  private void perform(Fault.Act act) {
    try {
      perform((ChaosAct) act);
    } catch (IOException e) {
      synchronized (failures) {
        failures.add("%s could not be done: %s".formatted(act, e));
      }
    }
  }

  private void perform(ChaosAct act) throws IOException {
    if (act instanceof ChaosAct.Outage outage) {
      link.resetAll();
      link.refuseFor(outage.time());
    } else if (act instanceof ChaosAct.Lag lag) {
      link.delay(lag.latency());
      after(lag.time(), () -> link.delay(Duration.ZERO));
    } else if (act instanceof ChaosAct.Reorder reorder) {
      link.reorder(reorder.order(), HELD_AT_MOST);
    } else if (act instanceof ChaosAct.Freeze freeze) {
      ChaosDaemon frozen = daemon(freeze.side());
      frozen.freeze();
      after(freeze.time(), frozen::thaw);
    } else if (act instanceof ChaosAct.FillDisk full) {
      parties.fillDisk(full.side());
      after(full.time(), () -> parties.freeDisk(full.side()));
    } else if (act instanceof ChaosAct.GiveBack giveBack) {
      giveBack(giveBack);
    } else if (act instanceof ChaosAct.Kill kill) {
      kill(kill);
    } else if (act instanceof ChaosAct.ClockStep step) {
      SteppedClock.step(parties.clock(step.side()), step.by());
    } else if (act instanceof ChaosAct.Report report) {
      report(report);
    }
  }

  private void kill(ChaosAct.Kill kill) {
    synchronized (killed) {
      if (!isSpared(kill) && killed.add(kill.side())) {
        long until = System.nanoTime() + kill.vacancy().toNanos();
        if (kill.side() == ChaosSide.SOURCE) {
          vacantUntil = until;
        } else {
          destinationVacantUntil = until;
        }
        // Counted first: whoever sees that it is dead asks why.
        (kill.side() == ChaosSide.SOURCE ? killsOfSource : killsOfDestination).incrementAndGet();
        daemon(kill.side()).kill();
      }
    }
  }

  /** The guest would die with it: one that runs at the source lives in that process. */
  private boolean isSpared(ChaosAct.Kill kill) {
    return kill.side() == ChaosSide.SOURCE
        && plan.guest() == ChaosPlan.Mover.MOVED
        && !source.hasLogged("-> MAP_APPLIED");
  }

  /** Nothing before the guest runs: who does not run gives nothing back. */
  private void giveBack(ChaosAct.GiveBack pages) throws IOException {
    if (holder == null || !holder.hasSaid("resumed")) {
      return;
    }
    long first = pages.draw() % guest.layout().pageCount();
    long count = Math.min(pages.pages(), guest.layout().pagesLeftInRegion(first));
    String range = "0x%x %d".formatted(guest.layout().addressOf(first), count);
    synchronized (giveBacks) {
      givenBackPages.add(new PageRun(first, count));
      giveBacks.add("gave back " + range);
    }
    holder.command("give-back %s", range);
  }

  private ChaosDaemon daemon(ChaosSide side) {
    return side == ChaosSide.SOURCE ? source : destination;
  }

  private void after(Duration time, Runnable what) {
    timer.schedule(what, time.toMillis(), TimeUnit.MILLISECONDS);
  }

  private void report(ChaosAct.Report report) throws IOException {
    List<Long> pages = victims.of(report);
    if (pages.isEmpty()) {
      return;
    }
    ChaosDaemon to = source;
    timer.execute(() -> losses.report(to, pages));
    if (report.victims() == ChaosAct.Victims.IN_FLIGHT) {
      try {
        Thread.sleep(report.draw() % IN_FLIGHT_MILLIS_MAX);
      } catch (InterruptedException e) {
        Thread.currentThread().interrupt();
      }
    }
  }

  // --- the verdict -----------------------------------------------------------------------------

  private void judge() throws IOException {
    awaitGiveBacks();
    JsonNode status = destination.status();
    lastStatus = status;
    int sourceCode = endOfSource();
    PoisonLedger sourceLedger = LedgerJournal.read(parties.ledger(ChaosSide.SOURCE)).ledger();
    PageSet late = losses.lost(sourceLedger);
    ChaosEvidence evidence =
        new ChaosEvidence(
            plan, guest, memory, parties, Optional.ofNullable(holder), givenBackPages);
    ChaosEvidence.Seen seen = evidence.look(destination.pid(), status, late, sourceLedger);
    destination.terminate();
    failures.addAll(
        evidence.failures(
            seen,
            new LoopbackVerdict.Observations(
                status,
                seen.comparison(),
                seen.witness(),
                sourceLedger,
                LedgerJournal.read(parties.ledger(ChaosSide.DESTINATION)).ledger(),
                (int) late.size(),
                (int) losses.held(),
                sourceCode,
                destination.await(deadline),
                injectedAtSource())));
  }

  /**
   * One that has not heard the destination's last word waits for it; nothing depends on it.
   *
   * @return its exit code; 0 also for one that was killed if another process in its place knows
   *     that there is nothing left to serve
   */
  private int endOfSource() throws IOException {
    if (isVacant()) {
      source = watched(parties.startSource(ChaosParties.Succession.REPLACEMENT));
    }
    Deadline patience = new Deadline(LETTING_GO);
    while (source.isAlive() && patience.millisLeft() > 0) {
      pause();
    }
    if (source.isAlive()) {
      source.terminate();
    }
    int code = source.await(deadline);
    return hasRefusedWhatWasHandedOver(code) || hasNotBeenNeeded(code) ? 0 : code;
  }

  /** The destination had every page when it lost its source, and found none for too long. */
  private boolean hasNotBeenNeeded(int code) {
    return code == ExitCode.UNFINISHED_AFTER_RUN.code()
        && destination.hasLogged("The source has not said that it lets go");
  }

  private static void pause() throws IOException {
    try {
      Thread.sleep(5);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** By the daemon's last word; one that was killed has none, but it has logged each. */
  private long injectedAtSource() throws IOException {
    if (plan.guest() != ChaosPlan.Mover.MOVED) {
      return 0;
    }
    return killsOfSource.get() == 0
        ? source.result().path("status").path("machineChecksInjected").asLong()
        : sourceLogs().filter(line -> INJECTED.matcher(line).find()).count();
  }

  private Stream<String> sourceLogs() {
    return daemons.stream().filter(daemon -> daemon != destination).flatMap(d -> d.log().lines());
  }

  /** The kernel lets them go when a destination has heard of it. */
  private void awaitGiveBacks() throws IOException {
    if (holder != null) {
      deadline.await("pages to go back", () -> holder.said().containsAll(giveBacks));
    }
  }

  // --- after it --------------------------------------------------------------------------------

  /**
   * Keeps what tells why it failed.
   *
   * @param into made here; gets everything but the guest's memory
   */
  void keepEvidence(Path into, String words) throws IOException {
    for (ChaosDaemon daemon : daemons) {
      daemon.thaw();
      daemon.dumpThreads();
    }
    pauseForDumps();
    try (Stream<Path> files = Files.walk(directory)) {
      for (Path file : files.toList()) {
        Path copy = into.resolve(directory.relativize(file).toString());
        if (Files.isDirectory(file)) {
          Files.createDirectories(copy);
        } else if (Files.isRegularFile(file) && !file.endsWith("memory")) {
          Files.copy(file, copy, java.nio.file.StandardCopyOption.REPLACE_EXISTING);
        }
      }
    }
    Files.writeString(into.resolve("run.txt"), words + plan.describe());
  }

  private static void pauseForDumps() throws IOException {
    for (int i = 0; i < 60; i++) {
      pause();
    }
  }

  @Override
  public synchronized void close() throws IOException {
    if (closed) {
      return;
    }
    closed = true;
    timer.shutdownNow();
    for (ChaosDaemon daemon : daemons) {
      daemon.close();
    }
    if (holder != null) {
      holder.close();
    }
    parties.close();
    link.close();
    memory.close();
    DirectoryTree.delete(directory);
  }
}
