package ward.source;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.netty.channel.Channel;
import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.ChannelInitializer;
import io.netty.util.ReferenceCountUtil;
import java.io.IOException;
import java.io.RandomAccessFile;
import java.net.InetSocketAddress;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.stream.LongStream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageRun;
import ward.memory.PageSample;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.FickleLedger;
import ward.poison.LedgerDigest;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Frame;
import ward.wire.HelloCompleted;
import ward.wire.HelloHandler;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.PeerRefusedException;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.StreamEnd;
import ward.wire.Transport;
import ward.wire.WardPipeline;

/** A session behind a real socket; the test is the destination. */
@Timeout(30)
class SourceSessionTest {

  private static final PageSet NONE = new PageSet();

  @TempDir Path directory;

  private final RecordedEvents events = new RecordedEvents();
  private Transport transport;
  private SmallGuest guest;
  private SourceSession session;
  private SourceServer server;

  /** A destination that breaks off is not waited for, unless a test says so. */
  private Optional<Duration> returnWithin = Optional.of(Duration.ZERO);

  private Duration ledgerPatience = Duration.ofSeconds(60);

  @BeforeEach
  void open() throws Exception {
    transport = Transport.open("source-test", 2);
    guest = new SmallGuest(directory);
  }

  private void start() throws Exception {
    start(DepartingGuest.asleep(new byte[] {1, 2}));
  }

  @AfterEach
  void close() throws Exception {
    if (server != null) {
      server.close();
      session.close();
    }
    guest.memory.close();
    transport.close();
    guest.close();
  }

  /** One connection of a destination: everything that arrives on it, in order. */
  private static final class Peer extends ChannelInboundHandlerAdapter {

    private final BlockingQueue<Object> arrived = new LinkedBlockingQueue<>();
    private Channel channel;

    @Override
    public void userEventTriggered(ChannelHandlerContext context, Object event) {
      arrived.add(event);
    }

    @Override
    public void channelRead(ChannelHandlerContext context, Object message) {
      arrived.add(message);
    }

    @Override
    public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
      arrived.add(cause);
      context.close();
    }

    <T> T take(Class<T> type) throws InterruptedException {
      return assertInstanceOf(type, arrived.poll(10, TimeUnit.SECONDS));
    }

    <T extends ControlMessage> T takeMessage(Class<T> type) throws InterruptedException {
      return assertInstanceOf(type, take(ControlFrame.class).message());
    }

    void send(Frame frame) {
      channel.writeAndFlush(frame);
    }

    void send(ControlMessage message) {
      send(new ControlFrame(message));
    }

    void hangUp() {
      channel.close().awaitUninterruptibly();
    }
  }

  private Peer dial(ConnectionKind kind, UUID id) throws Exception {
    return dial(kind, id, 1);
  }

  private Peer dial(ConnectionKind kind, UUID id, int attempt) throws Exception {
    Peer peer = new Peer();
    // 1.0: the stream says in frames of one kind each what it would say in one of both.
    ProtocolVersion first = new ProtocolVersion(1, 0);
    Hello hello = new Hello(Role.DESTINATION, kind, id, attempt, first, "mars");
    peer.channel =
        transport.connect(
            server.address(),
            new ChannelInitializer<Channel>() {
              @Override
              protected void initChannel(Channel channel) {
                WardPipeline.install(channel, HelloHandler.dialling(hello), peer);
              }
            });
    return peer;
  }

  /** A destination that has been brought to a phase by the book. */
  private final class Destination {

    private final UUID id = UUID.randomUUID();
    private int attempt = 1;
    private Peer control;
    private MemoryIdentity memory;
    private ControlMessage.PoisonMapEnd end;
    private Peer urgent;

    Destination() throws Exception {
      control = dial(ConnectionKind.CONTROL, id);
      control.take(HelloCompleted.class);
    }

    Destination takeMap() throws Exception {
      memory = control.takeMessage(ControlMessage.GuestOffer.class).memory();
      ControlMessage next = control.takeMessage(ControlMessage.class);
      while (next instanceof ControlMessage.PoisonMapPart) {
        next = control.takeMessage(ControlMessage.class);
      }
      end = assertInstanceOf(ControlMessage.PoisonMapEnd.class, next);
      return this;
    }

    Destination applyMap() throws Exception {
      control.send(new ControlMessage.PoisonMapApplied(end.pages(), end.digest()));
      urgent = dial(ConnectionKind.URGENT, id);
      urgent.take(HelloCompleted.class);
      awaitPhase(SourcePhase.MAP_APPLIED);
      control.takeMessage(ControlMessage.GuestReleased.class);
      return this;
    }

    Destination resume() throws Exception {
      control.send(new ControlMessage.GuestResumed());
      awaitPhase(SourcePhase.SERVING);
      return this;
    }

    /** Breaks off without a word, and comes back when the source has noticed. */
    Destination comeBack() throws Exception {
      control.hangUp();
      awaitPhase(SourcePhase.AWAITING_RETURN);
      return dialAgain();
    }

    Destination dialAgain() throws Exception {
      attempt++;
      control = dial(ConnectionKind.CONTROL, id, attempt);
      control.take(HelloCompleted.class);
      ControlMessage.SourceIdentity identity =
          control.takeMessage(ControlMessage.SourceIdentity.class);
      assertThat(memory.contradiction(identity.memory())).isEmpty();
      return this;
    }

    /** Says what it has, after its guest has run. */
    void say(PageSet present, PageSet poisoned) {
      say(present, poisoned, true, true);
    }

    void say(PageSet present, PageSet poisoned, boolean released, boolean resumed) {
      control.send(new ControlMessage.RecoveryPart(present, poisoned));
      control.send(
          new ControlMessage.RecoveryEnd(present.size(), poisoned.size(), released, resumed));
    }

    /** Answers the check of the map. */
    void agree(PageSet poisoned) throws Exception {
      control.takeMessage(ControlMessage.PoisonMapCheck.class);
      control.send(
          new ControlMessage.PoisonMapApplied(poisoned.size(), LedgerDigest.ofFrames(poisoned)));
    }

    void confirm() throws Exception {
      control.takeMessage(ControlMessage.HandOverAccepted.class);
      control.send(new ControlMessage.HandOverConfirmed());
    }

    void handOver(PageSet lost) {
      control.send(
          new ControlMessage.HandOver(
              SmallGuest.PAGES - lost.size(),
              0,
              lost.size(),
              lost.size(),
              LedgerDigest.ofFrames(lost)));
    }
  }

  private void awaitPhase(SourcePhase phase) throws InterruptedException {
    while (session.phase() != phase) {
      assertFalse(session.phase().isLast(), () -> "ended in " + session.phase());
      Thread.sleep(1);
    }
  }

  private SourceOutcome outcome() throws Exception {
    return session.outcome().toCompletableFuture().get(10, TimeUnit.SECONDS);
  }

  private CompletableFuture<PoisonReport.Result> report(long page) {
    return session.reportPoison(List.of(SmallGuest.entry(page))).toCompletableFuture();
  }

  @Test
  void thePoisonMapGoesOutBeforeAnythingElse() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3), SmallGuest.entry(101)));
    start();

    Peer control = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    control.take(HelloCompleted.class);
    assertEquals(SmallGuest.LAYOUT, control.takeMessage(ControlMessage.GuestOffer.class).layout());
    assertEquals(
        List.of(SmallGuest.entry(3), SmallGuest.entry(101)),
        control.takeMessage(ControlMessage.PoisonMapPart.class).losses().entries());
    assertEquals(
        new ControlMessage.PoisonMapEnd(2, LedgerDigest.ofFrames(SmallGuest.frames(3, 101))),
        control.takeMessage(ControlMessage.PoisonMapEnd.class));
    assertEquals(SourcePhase.SENDING_MAP, session.phase());
  }

  /** A guest that runs here, and notes what is done to it. */
  private final class RunningGuest implements DepartingGuest {

    final List<String> events = Collections.synchronizedList(new ArrayList<>());
    private IOException obstacle;

    @Override
    public byte[] leave() throws IOException {
      events.add("leave in " + session.phase());
      if (obstacle != null) {
        throw obstacle;
      }
      guest.journal.append(List.of(SmallGuest.entry(5)));
      return new byte[] {7};
    }

    @Override
    public void stay() {
      events.add("stay in " + session.phase());
    }
  }

  private SourceSettings settings() {
    return new SourceSettings(
        "venus", false, 0, returnWithin, Duration.ofSeconds(10), ledgerPatience);
  }

  private void start(DepartingGuest departing) throws Exception {
    session =
        new SourceSession(
            settings(),
            guest.kernel,
            new SourceSession.Subject(guest.memory, departing, guest.journal),
            events);
    server =
        SourceServer.listen(
            transport, new InetSocketAddress("127.0.0.1", 0), settings(), () -> session);
  }

  @Test
  void aRunningGuestIsHeldWhenADestinationComesAndItsLastLossIsInTheMap() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    assertThat(running.events).isEmpty();

    Peer control = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    control.take(HelloCompleted.class);
    assertArrayEquals(
        new byte[] {7}, control.takeMessage(ControlMessage.GuestOffer.class).vcpuStates());
    assertEquals(
        List.of(SmallGuest.entry(5)),
        control.takeMessage(ControlMessage.PoisonMapPart.class).losses().entries());
    assertThat(running.events).containsExactly("leave in SENDING_MAP");
  }

  @Test
  void aGuestRunsOnHereWhenTheDestinationLeavesBeforeItWasReleased() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    Destination destination = new Destination().takeMap();

    destination.control.hangUp();

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(running.events).containsExactly("leave in SENDING_MAP", "stay in ABORTED");
  }

  @Test
  void aGuestThatWasReleasedNeverRunsHereAgain() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    Destination destination = new Destination().takeMap().applyMap();

    destination.control.hangUp();

    assertEquals(SourceOutcome.Kind.UNFINISHED, outcome().kind());
    assertThat(running.events).containsExactly("leave in SENDING_MAP");
  }

  @Test
  void aGuestThatCannotLeaveStaysAndTheDestinationHearsWhy() throws Exception {
    RunningGuest running = new RunningGuest();
    running.obstacle = new IOException("it has ended");
    start(running);

    Peer control = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    control.take(HelloCompleted.class);
    Refusal refusal = control.takeMessage(Refusal.class);
    assertEquals(Refusal.Code.HOST, refusal.code());
    assertThat(refusal.reason()).contains("it has ended");
    assertEquals(SourceOutcome.Kind.HOST_FAILED, outcome().kind());
    assertThat(running.events).containsExactly("leave in SENDING_MAP", "stay in ABORTED");
  }

  @Test
  void aPageRequestBeforeTheMapIsAppliedEndsTheMigration() throws Exception {
    start();
    Destination destination = new Destination().takeMap();
    Peer urgent = dial(ConnectionKind.URGENT, destination.id);
    urgent.take(HelloCompleted.class);

    urgent.send(new PageRequest(1, 0, 1));

    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
    assertThat(outcome().text()).contains("page request in phase SENDING_MAP").contains("here");
    assertEquals(SourcePhase.ABORTED, session.phase());
  }

  @Test
  void aMigrationByTheBookIsHandedOver() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    start();
    Destination destination = new Destination().takeMap().applyMap();
    destination.urgent.send(new PageRequest(9, 12 << 12, 1));
    assertEquals(
        new PageAnswer.Zero(9, 12 << 12, 1), destination.urgent.take(PageAnswer.Zero.class));
    Peer stream = dial(ConnectionKind.STREAM, destination.id);
    stream.take(HelloCompleted.class);

    destination.resume();
    Object last = stream.take(Object.class);
    while (last instanceof PageAnswer) {
      ReferenceCountUtil.release(last);
      last = stream.take(Object.class);
    }
    destination.handOver(SmallGuest.frames(3));

    assertInstanceOf(StreamEnd.class, last);
    destination.confirm();
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(
        List.of(
            SourcePhase.SENDING_MAP,
            SourcePhase.MAP_APPLIED,
            SourcePhase.SERVING,
            SourcePhase.HANDING_OVER,
            SourcePhase.HANDED_OVER),
        events.phases);
  }

  @Test
  void aRequestThatIsReadAfterItsPageCameInTheBackgroundChangesNothing() throws Exception {
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.handOver(NONE);
    destination.control.takeMessage(ControlMessage.HandOverAccepted.class);

    destination.urgent.send(new PageRequest(9, 12 << 12, 1));
    destination.urgent.send(new PageRequest(10, 13 << 12, 1));
    destination.control.send(new ControlMessage.HandOverConfirmed());

    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
  }

  @Test
  void whateverGoesWrongAfterTheAgreementTheGuestIsAtTheDestination() throws Exception {
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.handOver(NONE);
    destination.control.takeMessage(ControlMessage.HandOverAccepted.class);

    destination.control.send(new ControlMessage.GuestResumed());

    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertThat(outcome().text()).contains("GuestResumed in phase HANDING_OVER");
  }

  @Test
  void aLossReportedBeforeAnyoneCameIsInTheMapAndNeedsNoOtherConfirmation() throws Exception {
    start();

    PoisonReport.Result result = report(7).get(10, TimeUnit.SECONDS);
    Destination destination = new Destination().takeMap();
    destination.applyMap().resume().handOver(SmallGuest.frames(7));

    assertEquals(SmallGuest.frames(7), result.poisoned());
    assertEquals(1, destination.end.pages());
    destination.confirm();
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
  }

  @Test
  void aLossReportedAfterTheMapWasSentFollowsItAndIsAnsweredByTheDestination() throws Exception {
    start();
    Destination destination = new Destination().takeMap();

    CompletableFuture<PoisonReport.Result> report = report(7);
    ControlMessage.LatePoison late =
        destination.control.takeMessage(ControlMessage.LatePoison.class);
    assertFalse(report.isDone());
    destination.control.send(new ControlMessage.PoisonOutcome(SmallGuest.frames(7), NONE));

    assertEquals(List.of(SmallGuest.entry(7)), late.entries());
    assertEquals(
        new PoisonReport.Result(SmallGuest.frames(7), NONE, NONE),
        report.get(10, TimeUnit.SECONDS));
  }

  @Test
  void aReportTellsPoisonedHeldAndKnownPagesApart() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(32)));
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();

    CompletableFuture<PoisonReport.Result> report =
        session.reportPoison(List.of(SmallGuest.extent(32, 14))).toCompletableFuture();
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    destination.control.send(
        new ControlMessage.PoisonOutcome(SmallGuest.frames(32, 33), SmallGuest.frames(34)));
    destination.control.send(new ControlMessage.PoisonOutcome(SmallGuest.frames(35), NONE));

    assertEquals(
        new PoisonReport.Result(
            SmallGuest.frames(33, 35), SmallGuest.frames(34), SmallGuest.frames(32)),
        report.get(10, TimeUnit.SECONDS));
  }

  /** Decided at once, the hand-over would fail: the ledger here still calls page 7 lost. */
  @Test
  void aHandOverWaitsForPoisonThatTheDestinationHasNotAnsweredFor() throws Exception {
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    CompletableFuture<PoisonReport.Result> report = report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);

    destination.handOver(NONE);
    destination.control.send(new ControlMessage.PoisonOutcome(NONE, SmallGuest.frames(7)));

    assertEquals(SmallGuest.frames(7), report.get(10, TimeUnit.SECONDS).held());
    destination.confirm();
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  @Test
  void whatTheGuestGaveUpAtTheDestinationIsNotLostAnyMoreHereEither() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3), SmallGuest.entry(4)));
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();

    destination.control.send(new ControlMessage.PoisonGivenUp(SmallGuest.frames(3, 50)));
    destination.handOver(SmallGuest.frames(4));
    destination.confirm();

    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(SmallGuest.frames(3), guest.journal.ledger().givenUpFrames());
    assertEquals(SmallGuest.frames(4), guest.journal.ledger().frames());
  }

  @Test
  void whatADestinationCannotLoseByItselfIsLostHereTooAndToldAsAnyOtherLoss() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    List<PoisonEntry> widened = List.of(SmallGuest.entry(3), SmallGuest.entry(4));

    destination.control.send(new ControlMessage.ReportPoison(widened));
    ControlMessage.LatePoison late =
        destination.control.takeMessage(ControlMessage.LatePoison.class);
    destination.control.send(new ControlMessage.PoisonOutcome(SmallGuest.frames(3, 4), NONE));
    destination.handOver(SmallGuest.frames(3, 4));
    destination.confirm();

    assertEquals(widened, late.entries());
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(SmallGuest.frames(3, 4), guest.journal.ledger().frames());
  }

  @Test
  void aDestinationWhereTheGuestHasNotRunHasNothingToReport() throws Exception {
    start();
    Destination destination = new Destination().takeMap();

    destination.control.send(new ControlMessage.ReportPoison(List.of(SmallGuest.entry(3))));

    assertTrue(destination.control.channel.closeFuture().await(10, TimeUnit.SECONDS));
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  @Test
  void aDestinationThatWasTakenLeaveOfTellsAgainWhatItsGuestGaveUp() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3), SmallGuest.entry(4)));
    returnWithin = Optional.empty();
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.comeBack();

    destination.control.send(new ControlMessage.PoisonGivenUp(SmallGuest.frames(3)));
    destination.say(SmallGuest.frames(1, 2), SmallGuest.frames(4));
    destination.agree(SmallGuest.frames(4));

    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    assertEquals(SourcePhase.SERVING, session.phase());
    assertEquals(
        SmallGuest.frames(3, 4), guest.journal.ledger().frames(), "not before the hand-over");
  }

  @Test
  void theNextHostHearsWhatTheGuestHasGivenUpBeforeItHearsTheEndOfTheMap() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3), SmallGuest.entry(4)));
    guest.journal.appendGivenUp(SmallGuest.frames(3));
    start();

    Peer control = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    control.take(HelloCompleted.class);
    control.takeMessage(ControlMessage.GuestOffer.class);
    assertEquals(
        List.of(SmallGuest.entry(4)),
        control.takeMessage(ControlMessage.PoisonMapPart.class).losses().entries());
    assertEquals(
        SmallGuest.frames(3), control.takeMessage(ControlMessage.PoisonGivenUp.class).frames());
    assertEquals(1, control.takeMessage(ControlMessage.PoisonMapEnd.class).pages());
  }

  private FickleLedger startOnFickleDisk() throws Exception {
    FickleLedger ledger = new FickleLedger(SmallGuest.LAYOUT.guest(), directory);
    guest.close();
    guest.memory.close();
    guest = new SmallGuest(directory, ledger.journal());
    start();
    return ledger;
  }

  private static void awaitRefusals(FickleLedger ledger, int count) throws Exception {
    while (ledger.refusals() < count) {
      Thread.sleep(1);
    }
  }

  @Test
  void aPageThatCannotBeReadIsAnsweredOnlyWhenItsLossIsOnDiskAndNobodyElseWaits() throws Exception {
    FickleLedger ledger = startOnFickleDisk();
    Destination destination = new Destination().takeMap().applyMap().resume();
    guest.spoil(3, Errno.EHWPOISON);
    ledger.fill();

    destination.urgent.send(new PageRequest(1, SmallGuest.LAYOUT.addressOf(3), 1));
    awaitRefusals(ledger, 2);
    destination.urgent.send(new PageRequest(2, SmallGuest.LAYOUT.addressOf(4), 1));
    PageAnswer healthy = destination.urgent.take(PageAnswer.class);
    assertThat(report(7)).failsWithin(Duration.ofSeconds(10));
    ledger.free();
    PageAnswer lost = destination.urgent.take(PageAnswer.class);

    assertInstanceOf(PageAnswer.Data.class, healthy);
    assertEquals(2, healthy.requestId());
    assertInstanceOf(PageAnswer.Poisoned.class, lost);
    assertEquals(1, lost.requestId());
    assertEquals(SmallGuest.frames(3), ledger.onDisk().frames());
    assertEquals(SourcePhase.SERVING, session.phase());
  }

  @Test
  void aHandOverIsAcceptedOnlyWhenTheLedgerSaysWhatTheDestinationHeld() throws Exception {
    FickleLedger ledger = startOnFickleDisk();
    Destination destination = new Destination().takeMap().applyMap().resume();
    report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    ledger.fill();
    destination.control.send(new ControlMessage.PoisonOutcome(NONE, SmallGuest.frames(7)));

    destination.handOver(NONE);
    awaitRefusals(ledger, 2);
    SourcePhase meanwhile = session.phase();
    ledger.free();
    destination.confirm();

    assertEquals(SourcePhase.SERVING, meanwhile);
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(SmallGuest.frames(7), ledger.onDisk().heldFrames());
  }

  @Test
  void aDestinationThatHealedALostPageIsNotGivenTheGuest() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();

    destination.control.send(new ControlMessage.PoisonOutcome(NONE, SmallGuest.frames(3)));
    destination.handOver(NONE);

    assertEquals(Refusal.Code.HAND_OVER, destination.control.takeMessage(Refusal.class).code());
    assertEquals(SourceOutcome.Kind.VERIFICATION_FAILED, outcome().kind());
    assertThat(outcome().text()).contains("keep it");
    assertEquals(SourcePhase.UNFINISHED, session.phase());
    assertEquals(1, guest.journal.ledger().pageCount());
  }

  @Test
  void anotherMapThanTheOneSentIsRefused() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    start();
    Destination destination = new Destination().takeMap();

    destination.control.send(
        new ControlMessage.PoisonMapApplied(1, LedgerDigest.ofFrames(SmallGuest.frames(4))));

    assertEquals(Refusal.Code.POISON_MAP, destination.control.takeMessage(Refusal.class).code());
    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
  }

  @Test
  void aDestinationThatLeavesBeforeItHasTheMapLeavesTheGuestHere() throws Exception {
    start();

    new Destination().takeMap().control.hangUp();

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(outcome().text()).contains("it is whole here");
  }

  /** It runs the guest before it says so: this side cannot know. */
  @Test
  void aDestinationThatLeavesWithTheMapMayHaveRunTheGuest() throws Exception {
    start();

    new Destination().takeMap().applyMap().control.hangUp();

    assertEquals(SourceOutcome.Kind.UNFINISHED, outcome().kind());
    assertThat(outcome().text()).contains("may have run");
  }

  @Test
  void aDestinationThatLeavesAfterItRanTheGuestIsNeverTakenForAHandOver() throws Exception {
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();
    CompletableFuture<PoisonReport.Result> report = report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);

    destination.urgent.hangUp();

    assertEquals(SourceOutcome.Kind.UNFINISHED, outcome().kind());
    assertEquals(SourcePhase.UNFINISHED, session.phase());
    assertThrows(ExecutionException.class, () -> report.get(10, TimeUnit.SECONDS));
  }

  @Test
  void aHandOverBeforeTheGuestRanIsAgainstTheProtocol() throws Exception {
    start();

    new Destination().takeMap().applyMap().handOver(NONE);

    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
    assertThat(outcome().text()).contains("HandOver in phase MAP_APPLIED");
  }

  @Test
  void aSecondDestinationIsRefusedAndTheFirstOneNotDisturbed() throws Exception {
    start();
    Destination first = new Destination().takeMap();

    Peer second = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    PeerRefusedException refusal = second.take(PeerRefusedException.class);
    assertThat(refusal).hasMessageContaining("another destination has this guest");
    first.applyMap().resume().handOver(NONE);
    first.control.takeMessage(ControlMessage.HandOverAccepted.class);
  }

  @Test
  void aConnectionOfAnotherSessionIsRefused() throws Exception {
    start();
    new Destination().takeMap();

    Peer stranger = dial(ConnectionKind.URGENT, UUID.randomUUID());

    assertThat(stranger.take(PeerRefusedException.class)).hasMessageContaining("no such session");
    assertEquals(SourcePhase.SENDING_MAP, session.phase());
  }

  @Test
  void aLossOutsideTheGuestsMemoryIsRefusedAndChangesNothing() throws Exception {
    start();

    CompletableFuture<PoisonReport.Result> report =
        session.reportPoison(List.of(SmallGuest.extent(0, 21))).toCompletableFuture();

    ExecutionException refusal =
        assertThrows(ExecutionException.class, () -> report.get(10, TimeUnit.SECONDS));
    assertThat(refusal).hasMessageContaining("0x0, 512 pages, is not RAM of guest small");
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  @Test
  void aLedgerOfAnotherLayoutIsRefused() throws Exception {
    guest.journal.append(
        List.of(
            new PoisonEntry(
                1L << 31, 12, SmallGuest.entry(0).severity(), SmallGuest.entry(0).origin())));

    IOException refusal = assertThrows(IOException.class, this::start);

    assertThat(refusal).hasMessageContaining("0x80000000");
    guest.memory.close();
  }

  @Test
  void anOperatorWhoEndsItIsHeardByTheDestination() throws Exception {
    start();
    Destination destination = new Destination().takeMap();

    session.abandon("stopped by a signal");

    assertEquals(
        "stopped by a signal",
        destination.control.takeMessage(ControlMessage.Farewell.class).reason());
    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
  }

  private void startPatiently() throws Exception {
    returnWithin = Optional.empty();
    start();
  }

  /** Every page that a stream of this attempt brings; poisoned ones are refused. */
  private PageSet streamed(Destination destination) throws Exception {
    Peer stream = dial(ConnectionKind.STREAM, destination.id, destination.attempt);
    stream.take(HelloCompleted.class);
    PageSet pages = new PageSet();
    Object next = stream.take(Object.class);
    while (!(next instanceof StreamEnd)) {
      PageAnswer answer = assertInstanceOf(PageAnswer.class, next);
      assertThat(answer).isNotInstanceOf(PageAnswer.Poisoned.class);
      pages.add(new PageRun(answer.guestPhysicalAddress() >>> 12, answer.pageCount()));
      ReferenceCountUtil.release(answer);
      next = stream.take(Object.class);
    }
    return pages;
  }

  private static PageSet framesOfPagesBelow(long end) {
    return SmallGuest.frames(LongStream.range(0, end).toArray());
  }

  @Test
  void aDestinationThatComesBackIsSentWhatItHasNotAndNothingTwice() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3), SmallGuest.entry(120)));
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    PageSet lost = SmallGuest.frames(3, 120);
    PageSet present = framesOfPagesBelow(100);
    present.removeAll(lost);
    streamed(destination);

    destination.comeBack().say(present, lost);
    destination.agree(lost);
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    PageSet sent = streamed(destination);
    destination.handOver(lost);
    destination.confirm();

    PageSet missing = framesOfPagesBelow(SmallGuest.PAGES);
    missing.removeAll(present);
    missing.removeAll(lost);
    assertEquals(missing, sent);
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertThat(events.phases)
        .containsSubsequence(SourcePhase.SERVING, SourcePhase.AWAITING_RETURN, SourcePhase.SERVING);
  }

  @Test
  void aDestinationMayComeBackBeforeThisSideHasNoticedTheBreak() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    Peer before = destination.control;

    destination.dialAgain().say(NONE, NONE);
    destination.agree(NONE);

    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    awaitPhase(SourcePhase.SERVING);
    assertTrue(before.channel.closeFuture().await(10, TimeUnit.SECONDS));
  }

  @Test
  void aLossFoundWhileNobodyIsThereIsToldBeforeThePoisonMapIsChecked() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.control.hangUp();
    awaitPhase(SourcePhase.AWAITING_RETURN);
    CompletableFuture<PoisonReport.Result> report = report(7);

    destination.dialAgain().say(SmallGuest.frames(1), NONE);
    ControlMessage.LatePoison late =
        destination.control.takeMessage(ControlMessage.LatePoison.class);
    destination.control.send(new ControlMessage.PoisonOutcome(SmallGuest.frames(7), NONE));
    destination.agree(SmallGuest.frames(7));

    assertEquals(List.of(SmallGuest.entry(7)), late.entries());
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    assertEquals(SmallGuest.frames(7), report.get(10, TimeUnit.SECONDS).poisoned());
  }

  /** The destination had recorded it, and its answer was lost with the connection. */
  @Test
  void aLossThatTheDestinationNamesItselfIsConfirmedAndNotToldAgain() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    CompletableFuture<PoisonReport.Result> report = report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);

    destination.comeBack().say(NONE, SmallGuest.frames(7));
    destination.agree(SmallGuest.frames(7));

    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    assertEquals(SmallGuest.frames(7), report.get(10, TimeUnit.SECONDS).poisoned());
  }

  /** Reported between the question and the answer, it can be in no digest yet. */
  @Test
  void aLossReportedWhileThePoisonMapIsCheckedDoesNotMakeTheTwoSidesDisagree() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.comeBack().say(NONE, NONE);
    destination.control.takeMessage(ControlMessage.PoisonMapCheck.class);

    CompletableFuture<PoisonReport.Result> report = report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    destination.control.send(new ControlMessage.PoisonMapApplied(0, LedgerDigest.ofFrames(NONE)));
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    destination.control.send(new ControlMessage.PoisonOutcome(NONE, SmallGuest.frames(7)));

    assertEquals(SmallGuest.frames(7), report.get(10, TimeUnit.SECONDS).held());
  }

  @Test
  void aDestinationThatDidNotHearThatTheGuestIsReleasedHearsItWhenItIsBack() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();

    destination.comeBack().say(NONE, NONE, false, false);
    destination.agree(NONE);

    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    destination.control.takeMessage(ControlMessage.GuestReleased.class);
    assertEquals(SourcePhase.MAP_APPLIED, session.phase());
  }

  @Test
  void aHandOverThatWasAgreedButNotConfirmedIsAgreedAgain() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.handOver(NONE);
    destination.control.takeMessage(ControlMessage.HandOverAccepted.class);

    destination.comeBack().say(framesOfPagesBelow(SmallGuest.PAGES), NONE);
    destination.agree(NONE);
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    destination.handOver(NONE);
    destination.confirm();

    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
  }

  @Test
  void aDestinationThatDisagreesAboutThePoisonAfterABreakIsNotServed() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();

    destination.comeBack().say(NONE, NONE); // it has forgotten page 3
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    destination.control.send(new ControlMessage.PoisonOutcome(SmallGuest.frames(3), NONE));
    destination.agree(SmallGuest.frames(4));

    assertEquals(Refusal.Code.POISON_MAP, destination.control.takeMessage(Refusal.class).code());
    assertEquals(SourceOutcome.Kind.VERIFICATION_FAILED, outcome().kind());
  }

  @Test
  void aDestinationThatClaimsPoisonWhichIsNotLostHereIsRefused() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();

    destination.comeBack().say(NONE, SmallGuest.frames(9));

    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
    assertThat(outcome().text()).contains("not lost here").contains("1 pages {9}");
  }

  @Test
  void aDestinationThatMiscountsItsPagesIsRefusedWithBothCounts() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.comeBack();

    destination.control.send(new ControlMessage.RecoveryPart(SmallGuest.frames(1, 2), NONE));
    destination.control.send(new ControlMessage.RecoveryEnd(3, 0, true, true));

    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
    assertThat(outcome().text())
        .contains("announced 3 present and 0 poisoned pages and named 2 and 0");
  }

  @Test
  void connectionsOfAnAttemptThatIsOverAreRefused() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.comeBack();

    Peer late = dial(ConnectionKind.URGENT, destination.id, 1);

    assertThat(late.take(PeerRefusedException.class)).hasMessageContaining("attempt 1");
  }

  @Test
  void aSessionThatBeganElsewhereIsRefusedByName() throws Exception {
    startPatiently();
    UUID id = UUID.randomUUID();

    Peer peer = dial(ConnectionKind.CONTROL, id, 2);

    PeerRefusedException refused = peer.take(PeerRefusedException.class);
    assertEquals(Refusal.Code.NO_SESSION, refused.refusal().code());
    assertThat(refused).hasMessageContaining(id.toString());
    assertEquals(SourcePhase.LISTENING, session.phase());
  }

  @Test
  void aDestinationThatNeverRanTheGuestGivesItBack() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    Destination destination = new Destination().takeMap().applyMap();

    destination.control.send(new ControlMessage.Farewell("the operator said so", true));

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(outcome().text()).contains("the operator said so").contains("it is whole here");
    assertThat(running.events).containsExactly("leave in SENDING_MAP", "stay in ABORTED");
  }

  private CompletableFuture<String> cancel(boolean guestNeverRan) {
    return session.cancel("too slow", guestNeverRan).toCompletableFuture();
  }

  private static String refusalOf(CompletableFuture<String> cancel) {
    ExecutionException refused =
        assertThrows(ExecutionException.class, () -> cancel.get(10, TimeUnit.SECONDS));
    return refused.getCause().getMessage();
  }

  @Test
  void theWishToCancelIsTheDestinationsToGrantOnceTheGuestIsReleased() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    Destination destination = new Destination().takeMap().applyMap();

    CompletableFuture<String> cancel = cancel(true); // the destination is there: it is asked
    String reason = destination.control.takeMessage(ControlMessage.CancelRequest.class).reason();
    assertTrue(session.isCancelling());
    assertFalse(cancel.isDone());
    destination.control.send(new ControlMessage.Farewell("as you wish", true));

    assertThat(cancel.get(10, TimeUnit.SECONDS)).contains("as you wish", "it is whole here");
    assertEquals("too slow", reason);
    assertThat(running.events).containsExactly("leave in SENDING_MAP", "stay in ABORTED");
  }

  @Test
  void aDestinationThatHasRunTheGuestRefusesAndTheMigrationGoesOn() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();
    CompletableFuture<String> cancel = cancel(false);
    destination.control.takeMessage(ControlMessage.CancelRequest.class);

    destination.control.send(new ControlMessage.CancelRefused("it has run"));

    assertThat(refusalOf(cancel)).isEqualTo("the destination refused: it has run");
    destination.resume();
    assertFalse(session.isCancelling());
    assertThat(refusalOf(cancel(false))).contains("has run at the destination, mars");
  }

  @Test
  void aDestinationThatIsBackIsAskedBeforeItIsToldThatItMayRunTheGuest() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();
    destination.control.hangUp();
    awaitPhase(SourcePhase.AWAITING_RETURN);
    CompletableFuture<String> cancel = cancel(false);
    while (!session.isCancelling()) {
      Thread.sleep(1);
    }

    destination.dialAgain();
    destination.say(NONE, NONE, false, false);
    destination.agree(NONE);
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    destination.control.takeMessage(ControlMessage.CancelRequest.class);
    destination.control.takeMessage(ControlMessage.GuestReleased.class);
    destination.control.send(new ControlMessage.Farewell("as you wish", true));

    assertThat(cancel.get(10, TimeUnit.SECONDS)).contains("it is whole here");
  }

  @Test
  void aDestinationThatIsBackWithARunningGuestRefusesByThat() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();
    destination.control.hangUp();
    awaitPhase(SourcePhase.AWAITING_RETURN);
    CompletableFuture<String> cancel = cancel(false);

    destination.dialAgain();
    destination.say(NONE, NONE, true, true);
    destination.agree(NONE);

    assertThat(refusalOf(cancel)).contains("has run at the destination");
  }

  @Test
  void theOperatorsWordThatTheGuestNeverRanCountsNothingOnceItHas() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.control.hangUp();
    awaitPhase(SourcePhase.AWAITING_RETURN);

    assertThat(refusalOf(cancel(true))).contains("cannot be taken back");
    assertEquals(SourcePhase.AWAITING_RETURN, session.phase());
  }

  @Test
  void aDestinationThatDoesNotComeBackInTimeLeavesTheMigrationUnfinished() throws Exception {
    returnWithin = Optional.of(Duration.ofMillis(20));
    start();
    Destination destination = new Destination().takeMap().applyMap().resume();

    destination.control.hangUp();

    assertEquals(SourceOutcome.Kind.UNFINISHED, outcome().kind());
    assertThat(outcome().text()).contains("did not come back").contains("keep it");
  }

  @Test
  void noConnectionForPagesIsTakenWhileTheDestinationIsAway() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.control.hangUp();
    awaitPhase(SourcePhase.AWAITING_RETURN);

    Peer late = dial(ConnectionKind.STREAM, destination.id, 1);

    assertThat(late.take(PeerRefusedException.class)).hasMessageContaining("no such session");
  }

  /** The streams of a destination that gives up may close before its last word arrives. */
  @Test
  void aFarewellIsHeardThoughAnotherConnectionClosesFirst() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();

    destination.urgent.hangUp();
    destination.control.send(new ControlMessage.Farewell("the operator said so", true));
    destination.control.hangUp();

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(outcome().text()).contains("the operator said so");
  }

  @Test
  void aLossIsTakenWhereTheGuestIsOnceTheHandOverIsAgreed() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    destination.handOver(NONE);
    destination.control.takeMessage(ControlMessage.HandOverAccepted.class);

    CompletableFuture<PoisonReport.Result> report = report(7);

    ExecutionException refused =
        assertThrows(ExecutionException.class, () -> report.get(10, TimeUnit.SECONDS));
    assertThat(refused).hasMessageContaining("too late").hasMessageContaining("where the guest is");
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  private Optional<MigrationRecord.Stage> stageOnDisk() throws Exception {
    return MigrationFile.peek(directory.resolve("ledger")).map(MigrationRecord::stage);
  }

  @Test
  void whatIsPromisedToTheDestinationIsOnDiskBefore() throws Exception {
    startPatiently();
    Optional<MigrationRecord.Stage> alone = stageOnDisk();

    Destination destination = new Destination().takeMap();
    Optional<MigrationRecord.Stage> offered = stageOnDisk();
    destination.applyMap(); // takes GuestReleased
    MigrationRecord applied = MigrationFile.peek(directory.resolve("ledger")).orElseThrow();
    destination.resume().handOver(NONE);
    destination.control.takeMessage(ControlMessage.HandOverAccepted.class);

    assertThat(alone).isEmpty();
    assertThat(offered).contains(MigrationRecord.Stage.OFFERED);
    assertEquals(MigrationRecord.Stage.MAP_APPLIED, applied.stage());
    assertEquals(destination.id, applied.session());
    assertThat(applied.peer()).startsWith("mars at 127.0.0.1:");
    assertThat(applied.memory()).contains(destination.memory);
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.HANDED_OVER);
  }

  @Test
  void aGuestThatStaysLeavesNoRecord() throws Exception {
    start();

    new Destination().takeMap().control.hangUp();

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(stageOnDisk()).isEmpty();
  }

  @Test
  void aSessionThatNobodyCameToTouchesNoRecord() throws Exception {
    MigrationRecord other =
        new MigrationRecord(
            MigrationRecord.Role.DESTINATION,
            "small",
            UUID.randomUUID(),
            1,
            MigrationRecord.Stage.COMPLETE,
            "mars",
            Instant.EPOCH,
            Optional.empty(),
            Map.of());
    guest.journal.migrationFile().write(other);
    start();

    session.abandon("stopped by a signal");

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(MigrationFile.peek(directory.resolve("ledger"))).contains(other);
  }

  /** From now on no record can be written. */
  private void obstructRecords() throws IOException {
    Files.createDirectories(directory.resolve("ledger/migration.new/in the way"));
  }

  @Test
  void aGuestIsNotEvenPausedForADestinationThatCannotBeRecorded() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    obstructRecords();

    Peer control = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    control.take(HelloCompleted.class);
    assertEquals(Refusal.Code.HOST, control.takeMessage(Refusal.class).code());
    assertEquals(SourceOutcome.Kind.HOST_FAILED, outcome().kind());
    assertThat(running.events).containsExactly("stay in ABORTED");
  }

  @Test
  void aPromiseThatCannotBeWrittenIsNotMadeAndTheGuestStays() throws Exception {
    RunningGuest running = new RunningGuest();
    start(running);
    Destination destination = new Destination().takeMap();
    obstructRecords();

    destination.control.send(
        new ControlMessage.PoisonMapApplied(destination.end.pages(), destination.end.digest()));

    Refusal refusal = destination.control.takeMessage(Refusal.class);
    assertEquals(Refusal.Code.HOST, refusal.code());
    assertThat(refusal.reason()).contains("cannot write").contains("migration");
    assertEquals(SourceOutcome.Kind.HOST_FAILED, outcome().kind());
    assertThat(running.events).containsExactly("leave in SENDING_MAP", "stay in ABORTED");
    assertThat(stageOnDisk()).isEmpty();
  }

  @Test
  void aHandOverThatCannotBeWrittenIsNotAccepted() throws Exception {
    ledgerPatience = Duration.ZERO;
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    obstructRecords();

    destination.handOver(NONE);

    assertEquals(SourceOutcome.Kind.HOST_FAILED, outcome().kind());
    assertEquals(SourcePhase.UNFINISHED, session.phase());
    assertTrue(destination.control.channel.closeFuture().await(10, TimeUnit.SECONDS));
    assertThat(destination.control.arrived).isEmpty();
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.MAP_APPLIED);
  }

  /** What a process that dies takes with it; the test's connections notice. */
  private void die() {
    server.close();
    session.close();
  }

  /** Another process, with nothing but the memory and what is on disk. */
  private void startAgain() throws Exception {
    MigrationRecord left = MigrationFile.peek(directory.resolve("ledger")).orElseThrow();
    session =
        SourceSession.continued(
            settings(),
            guest.kernel,
            new SourceSession.Subject(
                guest.memory, DepartingGuest.asleep(new byte[0]), guest.journal),
            events,
            left);
    server =
        SourceServer.listen(
            transport, new InetSocketAddress("127.0.0.1", 0), settings(), () -> session);
  }

  @Test
  void theWayThatTheGuestCameIsSaidByTheNextProcessAsTheDeadOneSaidIt() throws Exception {
    guest.journal.appendDepartures(List.of(new Departure("mercury", Instant.EPOCH)));
    startPatiently();
    Destination destination = new Destination().takeMap();
    destination.control.send(
        new ControlMessage.PoisonMapApplied(destination.end.pages(), destination.end.digest()));
    List<Departure> first =
        destination.control.takeMessage(ControlMessage.GuestReleased.class).path();
    die();

    startAgain();
    destination.dialAgain().say(NONE, NONE, false, false);
    destination.agree(NONE);
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);

    assertThat(first).extracting(Departure::host).containsExactly("mercury", "venus");
    assertEquals(first, destination.control.takeMessage(ControlMessage.GuestReleased.class).path());
  }

  /** A destination whose guest runs, and whose source has died. */
  private Destination orphaned() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    die();
    return destination;
  }

  @Test
  void anotherProcessGoesOnWhereTheDeadOneWas() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(3)));
    Destination destination = orphaned();

    startAgain();
    SourcePhase waiting = session.phase();
    destination.dialAgain().say(framesOfPagesBelow(3), SmallGuest.frames(3));
    destination.agree(SmallGuest.frames(3));
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    PageSet sent = streamed(destination);
    destination.handOver(SmallGuest.frames(3));
    destination.confirm();

    PageSet missing = framesOfPagesBelow(SmallGuest.PAGES);
    missing.removeAll(framesOfPagesBelow(4));
    assertEquals(SourcePhase.AWAITING_RETURN, waiting);
    assertEquals(missing, sent);
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.HANDED_OVER);
  }

  /**
   * The dead one knew pages 7 and 8 to be lost, and nobody had answered for them. Of the second the
   * destination has the content: it is held, which no process but the one that asks can know.
   */
  @Test
  void whatTheDeadOneFoundLateIsToldAndAPageThatHadArrivedIsHeld() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap().resume();
    report(7);
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    report(8);
    destination.control.takeMessage(ControlMessage.LatePoison.class);
    die();

    startAgain();
    destination.dialAgain().say(SmallGuest.frames(8), NONE);
    List<PoisonEntry> told =
        destination.control.takeMessage(ControlMessage.LatePoison.class).entries();
    destination.control.send(
        new ControlMessage.PoisonOutcome(SmallGuest.frames(7), SmallGuest.frames(8)));
    destination.agree(SmallGuest.frames(7));
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    PageSet sent = streamed(destination);
    destination.handOver(SmallGuest.frames(7));
    destination.confirm();

    assertThat(told).containsExactlyInAnyOrder(SmallGuest.entry(7), SmallGuest.entry(8));
    assertThat(sent.contains(SmallGuest.frame(8))).isFalse();
    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(SmallGuest.frames(7), guest.journal.ledger().frames());
  }

  /** The hand-over was agreed and died before it was written: what was held then, is held. */
  @Test
  void aPageThatTheDeadOneKnewToBeHeldIsNotLostAgain() throws Exception {
    guest.journal.append(List.of(SmallGuest.entry(8)));
    guest.journal.appendHeld(SmallGuest.frames(8));
    Destination destination = orphaned();
    guest.spoil(8, Errno.EHWPOISON);

    startAgain();
    destination.dialAgain().say(framesOfPagesBelow(SmallGuest.PAGES), NONE);
    PageSet toldLost = new PageSet();
    ControlMessage next = destination.control.takeMessage(ControlMessage.class);
    if (next instanceof ControlMessage.LatePoison late) { // if it was sampled, it was found again
      late.entries().forEach(entry -> toldLost.add(entry.guestPhysicalAddress() >>> 12));
      destination.control.send(new ControlMessage.PoisonOutcome(NONE, toldLost));
      next = destination.control.takeMessage(ControlMessage.class);
    }
    assertInstanceOf(ControlMessage.PoisonMapCheck.class, next);
    destination.control.send(new ControlMessage.PoisonMapApplied(0, LedgerDigest.ofFrames(NONE)));
    destination.control.takeMessage(ControlMessage.RecoveryAccepted.class);
    destination.handOver(NONE);
    destination.confirm();

    assertEquals(SourceOutcome.Kind.HANDED_OVER, outcome().kind());
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  @Test
  void aSampledPageThatWasLostMeanwhileIsALossAndNoOtherMemory() throws Exception {
    Destination destination = orphaned();
    PageSample sample = destination.memory.samples().get(0);
    long page = SmallGuest.LAYOUT.pageAt(sample.address()).orElseThrow();
    guest.spoil(page, Errno.EHWPOISON);

    startAgain();
    destination.dialAgain().say(NONE, NONE);
    List<PoisonEntry> told =
        destination.control.takeMessage(ControlMessage.LatePoison.class).entries();

    assertEquals(SmallGuest.frames(page), guest.journal.ledger().frames());
    assertThat(told)
        .singleElement()
        .satisfies(
            entry -> {
              assertEquals(sample.address(), entry.guestPhysicalAddress());
              assertEquals(Origin.Discovery.UNREADABLE, entry.origin().discovery());
            });
  }

  @Test
  void memoryThatHasChangedSinceIsRefusedByAddressAndTheRecordStays() throws Exception {
    Destination destination = orphaned();
    PageSample sample = destination.memory.samples().get(5);
    long page = SmallGuest.LAYOUT.pageAt(sample.address()).orElseThrow();
    try (RandomAccessFile memory = new RandomAccessFile(guest.file.toFile(), "rw")) {
      memory.seek(Pages.bytes(page) + 77); // the file holds the pages in their order
      memory.write(0xEE);
    }

    IOException refusal = assertThrows(IOException.class, this::startAgain);

    assertThat(refusal)
        .hasMessageContaining("this is not the memory that was served to mars at 127.0.0.1:")
        .hasMessageContaining("1 of 64 sampled pages have other content")
        .hasMessageContaining("0x%x", sample.address());
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.MAP_APPLIED);
  }

  @Test
  void anotherFileIsRefusedThoughItsContentIsTheSame() throws Exception {
    orphaned();
    Path copy = Files.copy(guest.file, directory.resolve("copy"));

    try (SourceMemory other =
        SourceMemory.map(guest.kernel, copy, SmallGuest.LAYOUT, SourceMemory.Access.READ)) {
      IOException refusal = assertThrows(IOException.class, () -> goOnWith(other));

      assertThat(refusal)
          .hasMessageContaining("this is not the memory that was served to mars")
          .hasMessageContaining("inode %s", Files.getAttribute(guest.file, "unix:ino"))
          .hasMessageContaining("inode %s", Files.getAttribute(copy, "unix:ino"));
    }
  }

  @Test
  void anotherLayoutOfTheSameFileIsRefused() throws Exception {
    orphaned();
    GuestLayout shifted =
        new GuestLayout(
            "small", List.of(new GuestRegion(0x1000, Pages.bytes(SmallGuest.PAGES), 0)));

    try (SourceMemory other =
        SourceMemory.map(guest.kernel, guest.file, shifted, SourceMemory.Access.READ)) {
      IOException refusal = assertThrows(IOException.class, () -> goOnWith(other));

      assertThat(refusal).hasMessageContaining("another layout: ");
    }
    assertEquals(0, guest.journal.ledger().pageCount());
  }

  private void goOnWith(SourceMemory other) throws IOException {
    SourceSession.continued(
        settings(),
        guest.kernel,
        new SourceSession.Subject(other, DepartingGuest.asleep(new byte[0]), guest.journal),
        events,
        MigrationFile.peek(directory.resolve("ledger")).orElseThrow());
  }

  @Test
  void aNewDestinationIsRefusedWhileTheOldOneMayComeBack() throws Exception {
    orphaned();
    startAgain();

    Peer other = dial(ConnectionKind.CONTROL, UUID.randomUUID());

    PeerRefusedException refused = other.take(PeerRefusedException.class);
    assertEquals(Refusal.Code.BUSY, refused.refusal().code());
    assertEquals(SourcePhase.AWAITING_RETURN, session.phase());
  }

  @Test
  void aDestinationThatNeverRanTheGuestEndsTheSessionOfTheDeadOneToo() throws Exception {
    startPatiently();
    Destination destination = new Destination().takeMap().applyMap();
    die();
    startAgain();

    destination.dialAgain();
    destination.control.send(new ControlMessage.Farewell("the operator said so", true));

    assertEquals(SourceOutcome.Kind.ABORTED, outcome().kind());
    assertThat(outcome().text())
        .contains("it is whole here, but for what its vCPUs held in the process that died");
    assertThat(stageOnDisk()).isEmpty();
  }

  @Test
  void aSourceThatTheDestinationTakesForAnImpostorEndsAndKeepsTheRecord() throws Exception {
    Destination destination = orphaned();
    startAgain();

    destination.dialAgain();
    destination.control.send(new Refusal(Refusal.Code.OTHER_GUEST, "other content"));

    assertEquals(SourceOutcome.Kind.PEER_REFUSED, outcome().kind());
    assertEquals(SourcePhase.UNFINISHED, session.phase());
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.MAP_APPLIED);
  }

  @Test
  void aDestinationThatDoesNotComeToTheNewProcessInTimeIsGivenUp() throws Exception {
    orphaned();
    returnWithin = Optional.of(Duration.ofMillis(20));

    startAgain();

    assertEquals(SourceOutcome.Kind.UNFINISHED, outcome().kind());
    assertThat(outcome().text()).contains("did not come back").contains("may have run");
    assertThat(stageOnDisk()).contains(MigrationRecord.Stage.MAP_APPLIED);
  }
}
