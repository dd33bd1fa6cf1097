package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static ward.destination.TouchedMemory.awaitThat;

import io.netty.channel.ChannelHandlerContext;
import io.netty.channel.ChannelInboundHandlerAdapter;
import io.netty.channel.embedded.EmbeddedChannel;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.UUID;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import ward.destination.DestinationOutcome.Kind;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.DirectMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageRun;
import ward.memory.PageSample;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.memory.TableRoom;
import ward.poison.FickleLedger;
import ward.poison.LedgerDigest;
import ward.poison.LedgerJournal;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.Origin;
import ward.poison.PoisonMap;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerScan;
import ward.uffd.Userfaultfd;
import ward.wire.ConnectionKind;
import ward.wire.ControlFrame;
import ward.wire.ControlMessage;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.Frame;
import ward.wire.HelloHandler;
import ward.wire.PageAnswer;
import ward.wire.PageRequest;
import ward.wire.ProtocolException;
import ward.wire.ProtocolVersion;
import ward.wire.Role;
import ward.wire.StreamEnd;

/** A session against a source in the test's hands, on sixteen real pages. */
@RequiresUserfaultfd
@Timeout(60)
class DestinationSessionKernelTest {

  private static final int PAGES = 16;
  private static final MemoryIdentity MEMORY = memory('a');

  @TempDir Path directory;

  private final NativeKernel kernel = NativeKernel.load();
  private final List<String> log = new CopyOnWriteArrayList<>();
  private Userfaultfd uffd;
  private OnRemove onRemove = OnRemove.KEEP;
  private DestinationSession.LedgerOpener ledgers = guest -> LedgerJournal.open(directory, guest);
  private DirectMemory directMemory = new DirectMemory(Long.MAX_VALUE, 0);
  private FakeLink link;
  private DestinationSession session;
  private CompletableFuture<DestinationOutcome> outcome;

  @BeforeEach
  void open() throws Exception {
    uffd = Userfaultfd.open(kernel);
    start(SourceLoss.PAUSE_AT_ONCE);
  }

  private void start(SourceLoss sourceLoss) throws Exception {
    link = new FakeLink(log);
    session =
        new DestinationSession(
            new DestinationSettings(
                new InetSocketAddress("localhost", 1),
                1,
                "host-b",
                Optional.of(Duration.ofMillis(7)),
                sourceLoss,
                Duration.ofSeconds(10),
                Duration.ofSeconds(60),
                onRemove,
                HugeLoss.REFUSE),
            new DestinationSession.Parts(
                (layout, states) -> new FakeGuest(),
                ledgers,
                uffd,
                new MarkerScan(kernel),
                Optional.empty(),
                new TableRoom(1, () -> directMemory)),
            link,
            new DestinationListener() {
              @Override
              public void onPhase(DestinationPhase from, DestinationPhase to, String reason) {
                log.add("phase " + to);
              }
            });
    outcome = session.start().toCompletableFuture();
  }

  @AfterEach
  void close() {
    session.close();
    link.shutDown();
    uffd.close();
  }

  private final class FakeGuest implements Guest {
    private final GuestMemory memory;

    FakeGuest() throws IOException {
      long base = kernel.mapAnonymous(Pages.bytes(PAGES));
      memory = new GuestMemory(Fixture.layout(PAGES), new long[] {base});
    }

    @Override
    public GuestMemory memory() {
      return memory;
    }

    @Override
    public void resume() {
      log.add("resume");
    }

    @Override
    public void pause() {
      log.add("pause");
    }

    @Override
    public void announce(PageSet announced, Duration interval) {
      log.add("announce %s every %d ms".formatted(announced, interval.toMillis()));
    }

    @Override
    public byte[] save() {
      throw new UnsupportedOperationException("a destination saves nothing");
    }

    @Override
    public CompletionStage<GuestExit> exited() {
      return new CompletableFuture<>();
    }

    @Override
    public void close() {
      kernel.unmap(memory.hostAddressOfRegion(0), Pages.bytes(PAGES));
      log.add("guest closed");
    }
  }

  /** What page 3 held when the guest was paused tells it from others. */
  private static MemoryIdentity memory(char content) {
    String digest = String.valueOf(content).repeat(64);
    return new MemoryIdentity(
        Fixture.layout(PAGES), List.of(new PageSample(Fixture.frame(3), digest)));
  }

  private void offer() throws Exception {
    link.ready(ConnectionKind.CONTROL);
    link.say(new ControlMessage.GuestOffer(MEMORY, new byte[0]));
  }

  private void sendMap(long... lostPages) {
    PageSet frames = new PageSet();
    for (long page : lostPages) {
      link.say(new ControlMessage.PoisonMapPart(PoisonMap.of(List.of(Fixture.lost(page)))));
      frames.add(Fixture.frame(page));
    }
    link.say(new ControlMessage.PoisonMapEnd(frames.size(), LedgerDigest.ofFrames(frames)));
  }

  private void running(long... lostPages) throws Exception {
    offer();
    sendMap(lostPages);
    release();
    link.ready(ConnectionKind.URGENT);
    link.ready(ConnectionKind.STREAM);
    link.awaitSent(ControlMessage.GuestResumed.class);
  }

  private void release() throws Exception {
    link.awaitSent(ControlMessage.PoisonMapApplied.class);
    link.say(new ControlMessage.GuestReleased(List.of()));
  }

  private void stream(int page, int count) {
    link.frame(ConnectionKind.STREAM, new PageAnswer.Zero(0, Fixture.gpa(page), count));
  }

  private DestinationOutcome awaitOutcome() throws Exception {
    return outcome.get(20, TimeUnit.SECONDS);
  }

  private int at(String event) {
    return log.indexOf(event);
  }

  @Test
  void theGuestRunsOnlyAfterThePoisonMapIsAppliedAndAcknowledgedAndTheConnectionsAreThere()
      throws Exception {
    offer();
    link.say(new ControlMessage.PoisonMapPart(PoisonMap.of(List.of(Fixture.lost(5)))));
    PageSet frames = new PageSet();
    frames.add(Fixture.frame(5));
    assertThat(link.isConnected(ConnectionKind.URGENT)).isFalse();

    link.say(new ControlMessage.PoisonMapEnd(1, LedgerDigest.ofFrames(frames)));
    ControlMessage.PoisonMapApplied applied = link.awaitSent(ControlMessage.PoisonMapApplied.class);
    boolean marked = isPoisoned(5);
    link.ready(ConnectionKind.STREAM);
    awaitThat(() -> link.isConnected(ConnectionKind.URGENT), "urgent");
    boolean resumedEarly = log.contains("resume");
    link.ready(ConnectionKind.URGENT);
    boolean resumedUnreleased = log.contains("resume");
    link.say(new ControlMessage.GuestReleased(List.of()));
    link.awaitSent(ControlMessage.GuestResumed.class);

    assertThat(resumedUnreleased).isFalse();
    assertThat(applied.digest()).isEqualTo(LedgerDigest.ofFrames(frames));
    assertThat(marked).isTrue();
    assertThat(resumedEarly).isFalse();
    assertThat(at("sent PoisonMapApplied")).isLessThan(at("connect URGENT"));
    assertThat(at("phase RUNNING")).isLessThan(at("resume"));
    assertThat(at("resume")).isLessThan(at("sent GuestResumed"));
    assertThat(at("announce %s every 7 ms".formatted(frames))).isGreaterThan(at("resume"));
    assertThat(LedgerJournal.read(directory).ledger().frames()).isEqualTo(frames);
  }

  @Test
  void aSourceThatReleasesTheGuestBeforeTheMapIsAppliedBreaksTheProtocol() throws Exception {
    offer();

    link.say(new ControlMessage.GuestReleased(List.of()));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.PEER_REFUSED);
    assertThat(end.text()).contains("GuestReleased before the poison map was applied");
    assertThat(log).doesNotContain("resume");
  }

  @Test
  void aGuestThatWasNeverReleasedDoesNotRunWhenTheSourceLeaves() throws Exception {
    offer();
    sendMap(5);
    link.awaitSent(ControlMessage.PoisonMapApplied.class);
    link.ready(ConnectionKind.URGENT);
    link.ready(ConnectionKind.STREAM);

    link.lose(ConnectionKind.CONTROL, null);

    assertThat(awaitOutcome().kind()).isEqualTo(Kind.ABORTED);
    session.close();
    assertThat(log).contains("phase ABORTED").doesNotContain("resume", "phase RUNNING");
  }

  private boolean isPoisoned(long page) throws Exception {
    List<MarkerScan.Real> found = new ArrayList<>();
    new MarkerScan(kernel)
        .scan(session.guest().memory().hostAddressOf(page), 0, 1, (p, real) -> found.add(real));
    return found.equals(List.of(MarkerScan.Real.POISONED));
  }

  @Test
  void aMapThatDoesNotAgreeWithTheLedgerIsRefusedWithBothCounts() throws Exception {
    offer();
    link.say(new ControlMessage.PoisonMapPart(PoisonMap.of(List.of(Fixture.lost(5)))));

    link.say(new ControlMessage.PoisonMapEnd(2, LedgerDigest.ofFrames(new PageSet())));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.INPUT_REFUSED);
    assertThat(end.text())
        .contains("the ledger here lists 1 lost pages, the source's map 2")
        .endsWith("; the guest did not run here, it is still at the source");
    assertThat(link.awaitSent(ControlMessage.Refusal.class).code())
        .isEqualTo(ControlMessage.Refusal.Code.POISON_MAP);
    assertThat(log).contains("phase ABORTED").doesNotContain("resume", "connect URGENT");
  }

  @Test
  void theLedgerOfAnotherGuestIsRefused() throws Exception {
    LedgerJournal.open(directory, "vm-2").close();

    offer();

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.INPUT_REFUSED);
    assertThat(end.text()).contains("guest \"vm-2\", not of \"vm-1\"");
  }

  @Test
  void aSourceThatLeavesBeforeTheGuestRanAbortsAndNothingIsOpenedAfterwards() throws Exception {
    offer();
    sendMap(5);

    link.lose(ConnectionKind.CONTROL, null);

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.ABORTED);
    assertThat(end.text())
        .isEqualTo(
            "CONTROL connection: the source closed it; the guest did not run here, it is still at the source");
    assertThat(session.phase()).isEqualTo(DestinationPhase.ABORTED);
    assertThat(log).doesNotContain("resume");
    assertThat(link.closed).isTrue();
  }

  @Test
  void aConnectionThatIsReadyTooLateDoesNotResumeTheGuest() throws Exception {
    offer();
    sendMap();
    awaitThat(() -> link.isConnected(ConnectionKind.STREAM), "connections");
    link.lose(ConnectionKind.CONTROL, null);
    awaitOutcome();

    link.ready(ConnectionKind.URGENT);
    link.ready(ConnectionKind.STREAM);
    session.close();

    assertThat(log).doesNotContain("resume", "phase RUNNING");
  }

  @Test
  void closingAnAbortedSessionWithRegisteredMemoryDoesNotHang() throws Exception {
    offer();
    awaitThat(() -> session.phase() == DestinationPhase.RECEIVING_MAP, "the map");
    link.lose(ConnectionKind.CONTROL, null);
    awaitOutcome();

    session.close();

    assertThat(log).contains("guest closed");
  }

  @Test
  void closingASessionThatIsUnderWayEndsIt() throws Exception {
    running();

    session.close();

    DestinationOutcome end = awaitOutcome();
    assertThat(end.text()).startsWith("the session was closed; the guest is paused here");
    assertThat(log).containsSubsequence("pause", "phase UNFINISHED", "guest closed");
  }

  @Test
  void aSourceThatLeavesWhileTheGuestRunsPausesItAndSaysHowMuchIsMissing() throws Exception {
    running(5);
    stream(0, 4);

    link.lose(ConnectionKind.CONTROL, new IOException("Connection reset by peer"));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.text())
        .isEqualTo(
            "CONTROL connection: Connection reset by peer; the guest is paused here, 11 of its 16 pages never arrived");
    assertThat(log).containsSubsequence("resume", "pause", "phase UNFINISHED");
    assertThat(session.phase()).isEqualTo(DestinationPhase.UNFINISHED);
    assertThat(end.kind()).isNotEqualTo(Kind.COMPLETE);
  }

  @Test
  void handsOverOnlyWhenNoPageIsMissing() throws Exception {
    running(5);
    stream(0, 5);
    stream(6, 9);
    assertThat(log).doesNotContain("sent HandOver");

    stream(15, 1);
    ControlMessage.HandOver sum = link.awaitSent(ControlMessage.HandOver.class);
    boolean completeBefore = outcome.isDone();
    link.say(new ControlMessage.HandOverAccepted());

    PageSet frames = new PageSet();
    frames.add(Fixture.frame(5));
    assertThat(sum)
        .isEqualTo(new ControlMessage.HandOver(0, 15, 1, 1, LedgerDigest.ofFrames(frames)));
    assertThat(completeBefore).isFalse();
    assertThat(awaitOutcome().kind()).isEqualTo(Kind.COMPLETE);
    assertThat(log).doesNotContain("pause");
  }

  @Test
  void doesNotHandOverWhatTheAuditFindsHealed() throws Exception {
    running(5);
    NativeMemory stale = NativeMemory.allocate(Pages.SIZE_BYTES);
    uffd.copy(session.guest().memory().hostAddressOf(5), stale.address(), Pages.SIZE_BYTES);

    stream(0, 16);

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.VERIFICATION_FAILED);
    assertThat(end.text())
        .contains("guest-physical address 0x105000: page table says POISONED, memory is MAPPED");
    assertThat(log).doesNotContain("sent HandOver").contains("pause");
  }

  @Test
  void aGuestThatIsLostWholeIsHandedOver() throws Exception {
    running(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);

    ControlMessage.HandOver sum = link.awaitSent(ControlMessage.HandOver.class);

    assertThat(sum.poisonedPages()).isEqualTo(16);
    assertThat(sum.markers()).isEqualTo(16);
  }

  @Test
  void acceptanceBeforeTheHandOverIsRefusedAndCompletesNothing() throws Exception {
    running();

    link.say(new ControlMessage.HandOverAccepted());

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.PEER_REFUSED);
    assertThat(end.text())
        .startsWith("HandOverAccepted in phase RUNNING; it belongs to phase HANDING_OVER");
    assertThat(session.phase()).isEqualTo(DestinationPhase.UNFINISHED);
  }

  @Test
  void aSourceThatLeavesWithoutAcceptingLeavesNothingComplete() throws Exception {
    running();
    stream(0, 16);
    link.awaitSent(ControlMessage.HandOver.class);

    link.lose(ConnectionKind.CONTROL, null);

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isNotEqualTo(Kind.COMPLETE);
    assertThat(end.text()).endsWith("0 of its 16 pages never arrived");
    assertThat(log).containsSubsequence("sent HandOver", "pause", "phase UNFINISHED");
  }

  @Test
  void aSourceThatClosesItsPageConnectionsAsItLetsGoDoesNotStopTheGuest() throws Exception {
    running();
    stream(0, 16);
    link.awaitSent(ControlMessage.HandOver.class);

    link.lose(ConnectionKind.STREAM, null);
    link.lose(ConnectionKind.URGENT, null);
    link.say(new ControlMessage.HandOverAccepted());

    assertThat(awaitOutcome().kind()).isEqualTo(Kind.COMPLETE);
    assertThat(log).doesNotContain("pause");
  }

  @Test
  void whatTheStreamLeftOutIsAskedForAlsoWhenItEndsBeforeTheUrgentConnectionIsThere()
      throws Exception {
    offer();
    sendMap();
    release();
    link.ready(ConnectionKind.STREAM);
    stream(0, 15);
    link.frame(ConnectionKind.STREAM, new StreamEnd());
    link.ready(ConnectionKind.URGENT);

    PageRequest request = new PageRequest(1, Fixture.gpa(15), 1);
    awaitThat(() -> link.sent.contains(request), "the request for the last page");

    assertThat(outcome).isNotDone();
  }

  @Test
  void aGuestWhoseTablesHaveNoRoomStaysAtTheSourceBeforeAnythingIsMade() throws Exception {
    directMemory = new DirectMemory(16 << 20, 1 << 20);
    link.ready(ConnectionKind.CONTROL);

    GuestRegion large = new GuestRegion(0, 256L << 30, 0);
    GuestLayout layout = new GuestLayout("vm-1", List.of(large));
    link.say(new ControlMessage.GuestOffer(layout, new byte[0]));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.HOST_REFUSED);
    assertThat(end.text())
        .contains("-XX:MaxDirectMemorySize=21m")
        .endsWith("the guest did not run here, it is still at the source");
    assertThat(link.awaitSent(ControlMessage.Farewell.class).guestNeverRan()).isTrue();
    assertThat(directory).isEmptyDirectory();
  }

  @Test
  void aMapHasOneEnd() throws Exception {
    offer();
    sendMap();
    sendMap();

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.PEER_REFUSED);
    assertThat(end.text()).startsWith("PoisonMapEnd ");
    assertThat(log).doesNotContain("resume");
  }

  @Test
  void pagesAfterTheEndOfTheirStreamAreRefused() throws Exception {
    running();
    link.frame(ConnectionKind.STREAM, new StreamEnd());

    stream(0, 1);

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.PEER_REFUSED);
    assertThat(end.text()).startsWith("STREAM connection: Zero after StreamEnd");
  }

  @Test
  void latePoisonIsOnDiskAndMarkedAndAnswered() throws Exception {
    running();
    stream(3, 1);

    link.say(new ControlMessage.LatePoison(List.of(Fixture.lost(2), Fixture.lost(3))));
    ControlMessage.PoisonOutcome answer = link.awaitSent(ControlMessage.PoisonOutcome.class);

    assertThat(answer.poisoned().contains(Fixture.frame(2))).isTrue();
    assertThat(answer.held().contains(Fixture.frame(3))).isTrue();
    assertThat(isPoisoned(2)).isTrue();
    assertThat(LedgerJournal.read(directory).ledger().entries()).containsExactly(Fixture.lost(2));
  }

  @Test
  void anAnswerNobodyAskedForEndsTheMigrationAsTheSourcesFault() throws Exception {
    running();

    link.frame(ConnectionKind.URGENT, new PageAnswer.Zero(7, Fixture.gpa(1), 1));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.PEER_REFUSED);
    assertThat(end.text()).startsWith("URGENT connection: an answer nobody asked for: request 7");
  }

  @Test
  void aKernelThatRefusesAPageIsThisHostsFault() throws Exception {
    running();
    link.lose(
        ConnectionKind.STREAM,
        new ResolveException(
            "UFFDIO_COPY",
            Fixture.gpa(1),
            FakeFiller.answer(
                ward.uffd.FillResult.Outcome.PROCESS_GONE, 0, jnr.constants.platform.Errno.ESRCH)));

    assertThat(awaitOutcome().kind()).isEqualTo(Kind.HOST_REFUSED);
  }

  @Test
  void aProtocolErrorOnAConnectionIsTheSourcesFault() throws Exception {
    offer();

    link.lose(ConnectionKind.CONTROL, new ProtocolException("magic 0x0; 0x57 is allowed"));

    assertThat(awaitOutcome().kind()).isEqualTo(Kind.PEER_REFUSED);
  }

  @Test
  void abandoningEndsItBeforeTheGuestRan() throws Exception {
    offer();

    session.abandon("stopped by a signal");

    assertThat(awaitOutcome().text())
        .isEqualTo("stopped by a signal; the guest did not run here, it is still at the source");
  }

  private void startAgain(SourceLoss sourceLoss) throws Exception {
    session.close();
    log.clear();
    start(sourceLoss);
  }

  /** 0, or -EFAULT after SIGBUS; on a thread of its own, which may have to wait. */
  private CompletableFuture<Integer> touch(long page) {
    long address = session.guest().memory().hostAddressOfRegion(0) + Pages.bytes(page);
    return TouchedMemory.start(
        () -> kernel.fold(address, 8, NativeMemory.allocate(8), new SignalInfo()));
  }

  private List<PageRequest> requests() {
    synchronized (link.sent) {
      return link.sent.stream()
          .filter(PageRequest.class::isInstance)
          .map(PageRequest.class::cast)
          .toList();
    }
  }

  /** What a refused Hello looks like. */
  private static Throwable refusal(Refusal.Code code, String reason) {
    List<Throwable> seen = new ArrayList<>();
    Hello hello =
        new Hello(
            Role.DESTINATION,
            ConnectionKind.CONTROL,
            new UUID(1, 2),
            2,
            ProtocolVersion.OURS,
            "host-b");
    EmbeddedChannel channel =
        new EmbeddedChannel(
            HelloHandler.dialling(hello),
            new ChannelInboundHandlerAdapter() {
              @Override
              public void exceptionCaught(ChannelHandlerContext context, Throwable cause) {
                seen.add(cause);
              }
            });
    channel.writeInbound(new ControlFrame(new Refusal(code, reason)));
    return seen.get(0);
  }

  private static final SourceLoss WAIT =
      new SourceLoss(SourceLoss.Policy.WAIT, Duration.ofMinutes(5));

  /** The connections break, and a new control connection is there. */
  private void breakAndDialAgain() throws Exception {
    breakAndAnswer();
    link.say(new ControlMessage.SourceIdentity(MEMORY));
    link.awaitSent(ControlMessage.RecoveryEnd.class);
  }

  /** The connections break, and somebody answers where the source was. */
  private void breakAndAnswer() throws Exception {
    link.sent.clear();
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    link.ready(ConnectionKind.CONTROL);
  }

  private void accept() throws Exception {
    link.say(new ControlMessage.PoisonMapCheck());
    link.awaitSent(ControlMessage.PoisonMapApplied.class);
    link.say(new ControlMessage.RecoveryAccepted());
    link.ready(ConnectionKind.URGENT);
    link.ready(ConnectionKind.STREAM);
  }

  private void awaitPhase(DestinationPhase phase) throws Exception {
    awaitThat(() -> session.phase() == phase, "phase " + phase);
  }

  private void giveBack(long page, long count) throws Exception {
    long address = session.guest().memory().hostAddressOf(page);
    TouchedMemory.await(
        TouchedMemory.start(() -> kernel.advise(address, Pages.bytes(count), Linux.MADV_DONTNEED)));
  }

  private static PageSet frames(long... pages) {
    PageSet frames = new PageSet();
    for (long page : pages) {
      frames.add(Fixture.frame(page));
    }
    return frames;
  }

  @Test
  void aLostPageThatIsGivenBackDuringABreakIsFreshAndTheSourceHearsOfIt() throws Exception {
    onRemove = OnRemove.UNPOISON;
    startAgain(WAIT);
    running(5, 6, 7);
    stream(0, 4);
    int before = link.lastAttempt();
    link.sent.clear();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitPhase(DestinationPhase.RECOVERING);

    giveBack(3, 3); // one that came, one that did not, one that is lost
    int touchInBreak = TouchedMemory.await(touch(5));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    link.ready(ConnectionKind.CONTROL);
    link.say(new ControlMessage.SourceIdentity(MEMORY));
    ControlMessage.RecoveryEnd end = link.awaitSent(ControlMessage.RecoveryEnd.class);
    ControlMessage.PoisonGivenUp told = link.awaitSent(ControlMessage.PoisonGivenUp.class);
    accept();
    giveBack(6, 1);
    stream(4, 12);

    ControlMessage.HandOver sum = link.awaitSent(ControlMessage.HandOver.class);
    assertThat(touchInBreak).isZero();
    assertThat(end.poisonedPages()).isEqualTo(2);
    assertThat(told.frames()).isEqualTo(frames(5));
    assertThat(sum.poisonedPages()).isEqualTo(1);
    assertThat(sum.markers()).isEqualTo(1);
    assertThat(sum.digest()).isEqualTo(LedgerDigest.ofFrames(frames(7)));
    assertThat(sum.dataPages() + sum.zeroPages() + sum.poisonedPages()).isEqualTo(PAGES);
    assertThat(TouchedMemory.await(touch(6))).isZero();
    assertThat(TouchedMemory.await(touch(7))).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(LedgerJournal.read(directory).ledger().givenUpFrames()).isEqualTo(frames(5, 6));
    assertThat(LedgerJournal.read(directory).ledger().frames()).isEqualTo(frames(7));
  }

  @Test
  void aLostPageThatIsGivenBackDuringABreakStaysLostByDefault() throws Exception {
    startAgain(WAIT);
    running(5);
    link.sent.clear();
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitPhase(DestinationPhase.RECOVERING);

    giveBack(5, 1);
    int touchInBreak = TouchedMemory.await(touch(5));
    giveBack(5, 1);
    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    link.ready(ConnectionKind.CONTROL);
    link.say(new ControlMessage.SourceIdentity(MEMORY));
    link.awaitSent(ControlMessage.RecoveryEnd.class);
    accept();
    stream(0, 16);

    ControlMessage.HandOver sum = link.awaitSent(ControlMessage.HandOver.class);
    assertThat(touchInBreak).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(sum.markers()).isEqualTo(1);
    assertThat(sum.digest()).isEqualTo(LedgerDigest.ofFrames(frames(5)));
    assertThat(log).doesNotContain("sent PoisonGivenUp");
  }

  /** The guest was here before, and gave a lost page up on the next host. */
  @Test
  void aLossThatWasGivenUpElsewhereDoesNotStandInTheWayOfTheGuestsReturn() throws Exception {
    try (LedgerJournal old = LedgerJournal.open(directory, "vm-1")) {
      old.append(List.of(Fixture.lost(5), Fixture.lost(6)));
    }
    offer();

    link.say(new ControlMessage.PoisonGivenUp(frames(5)));
    sendMap(6);

    assertThat(link.awaitSent(ControlMessage.PoisonMapApplied.class).digest())
        .isEqualTo(LedgerDigest.ofFrames(frames(6)));
    assertThat(LedgerJournal.read(directory).ledger().givenUpFrames()).isEqualTo(frames(5));
    release();
    link.ready(ConnectionKind.URGENT);
    link.ready(ConnectionKind.STREAM);
    stream(0, 16);
    assertThat(link.awaitSent(ControlMessage.HandOver.class).markers()).isEqualTo(1);
  }

  @Test
  void pagesOutsideTheGuestCannotHaveBeenGivenUp() throws Exception {
    offer();

    link.say(new ControlMessage.PoisonGivenUp(frames(99)));

    assertThat(awaitOutcome().kind()).isEqualTo(Kind.PEER_REFUSED);
  }

  private FickleLedger startOnFickleDisk() throws Exception {
    FickleLedger ledger = new FickleLedger("vm-1");
    ledgers = guest -> ledger.journal();
    startAgain(WAIT);
    return ledger;
  }

  private static void awaitRefusals(FickleLedger ledger, int count) throws Exception {
    awaitThat(() -> ledger.refusals() >= count, count + " refused writes");
  }

  @Test
  void aFullDiskBeforeTheGuestRanSendsItBack() throws Exception {
    FickleLedger ledger = startOnFickleDisk();
    ledger.fill();

    offer();
    sendMap(5);

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(Kind.HOST_REFUSED);
    assertThat(end.text())
        .contains("cannot append to", "No space left on device")
        .endsWith("the guest did not run here, it is still at the source");
    awaitThat(() -> log.contains("sent Farewell"), "the source to be told");
    assertThat(log).contains("phase ABORTED").doesNotContain("resume");
  }

  @Test
  void aLossThatCannotBeWrittenMakesItsReaderWaitAndNobodyElse() throws Exception {
    FickleLedger ledger = startOnFickleDisk();
    running();
    ledger.fill();
    link.say(new ControlMessage.LatePoison(List.of(Fixture.lost(7))));
    awaitRefusals(ledger, 1);
    CompletableFuture<Integer> waiting = touch(7);
    CompletableFuture<Integer> other = touch(8);
    awaitThat(() -> !requests().isEmpty(), "the other's request");
    stream(0, 7);
    stream(7, 9); // also page 7, sent before it was lost

    assertThat(TouchedMemory.await(other)).isZero();
    awaitRefusals(ledger, 3);
    assertThat(waiting).isNotDone();
    assertThat(log).doesNotContain("sent PoisonOutcome", "sent HandOver");
    ledger.free();
    assertThat(TouchedMemory.await(waiting)).isEqualTo(-Errno.EFAULT.intValue());
    link.awaitSent(ControlMessage.HandOver.class);
    assertThat(log).containsSubsequence("sent PoisonOutcome", "sent HandOver");
    assertThat(ledger.onDisk().contains(Fixture.gpa(7))).isTrue();
  }

  @Test
  void afterABreakTheMapIsCheckedOnlyWhenEveryLossIsWritten() throws Exception {
    FickleLedger ledger = startOnFickleDisk();
    running();
    breakAndDialAgain();
    ledger.fill();
    link.say(new ControlMessage.LatePoison(List.of(Fixture.lost(7))));
    link.say(new ControlMessage.PoisonMapCheck());
    awaitRefusals(ledger, 2);
    boolean early = log.lastIndexOf("sent PoisonMapApplied") > at("resume");

    ledger.free();
    ControlMessage.PoisonMapApplied applied = link.awaitSent(ControlMessage.PoisonMapApplied.class);

    assertThat(early).isFalse();
    assertThat(applied.pages()).isEqualTo(1);
    assertThat(log).containsSubsequence("sent PoisonOutcome", "sent PoisonMapApplied");
  }

  @Test
  void aBreakIsSurvivedAndTheSourceHearsWhatIsHere() throws Exception {
    startAgain(WAIT);
    running(5);
    stream(0, 3);

    breakAndDialAgain();
    ControlMessage.RecoveryPart part = link.awaitSent(ControlMessage.RecoveryPart.class);
    ControlMessage.RecoveryEnd end = link.awaitSent(ControlMessage.RecoveryEnd.class);
    accept();
    awaitPhase(DestinationPhase.RUNNING);
    stream(3, 2);
    stream(6, 10);
    link.awaitSent(ControlMessage.HandOver.class);

    PageSet present = new PageSet();
    present.add(new PageRun(Fixture.frame(0), 3));
    assertThat(part.present()).isEqualTo(present);
    assertThat(part.poisoned().contains(Fixture.frame(5))).isTrue();
    assertThat(end).isEqualTo(new ControlMessage.RecoveryEnd(3, 1, true, true));
    assertThat(log)
        .containsSubsequence("phase RUNNING", "phase RECOVERING", "phase RUNNING")
        .doesNotContain("pause");
  }

  @Test
  void whoWaitsForAPageIsServedByTheNextConnectionAndAskedForOnce() throws Exception {
    startAgain(WAIT);
    running();
    CompletableFuture<Integer> toucher = touch(7);
    awaitThat(() -> requests().size() == 1, "the request");

    breakAndDialAgain();
    accept();
    awaitThat(() -> requests().size() == 1, "the request again");
    PageRequest again = requests().get(0);
    link.frame(
        ConnectionKind.URGENT,
        new PageAnswer.Zero(again.requestId(), again.guestPhysicalAddress(), 1));

    assertThat(TouchedMemory.await(toucher)).isZero();
    assertThat(again.guestPhysicalAddress()).isEqualTo(Fixture.gpa(7));
    assertThat(requests()).hasSize(1);
  }

  @Test
  void lateAnswersOfAnAttemptThatIsOverChangeNothing() throws Exception {
    startAgain(WAIT);
    running();
    Runnable stale = link.frameLater(ConnectionKind.STREAM, new PageAnswer.Zero(3, 0, 1));

    breakAndDialAgain();
    stale.run(); // of a request that nobody made, too: it would end the migration
    accept();

    awaitPhase(DestinationPhase.RUNNING);
    assertThat(session.report().unresolved()).isEqualTo(PAGES);
  }

  @Test
  void lossesToldAfterABreakAreInPlaceBeforeTheMapIsConfirmed() throws Exception {
    startAgain(WAIT);
    running(5);
    stream(0, 3);

    breakAndDialAgain();
    link.say(new ControlMessage.LatePoison(List.of(Fixture.lost(1), Fixture.lost(9))));
    link.say(new ControlMessage.PoisonMapCheck());
    ControlMessage.PoisonMapApplied applied = link.awaitSent(ControlMessage.PoisonMapApplied.class);

    PageSet lost = new PageSet();
    lost.add(Fixture.frame(5));
    lost.add(Fixture.frame(9)); // page 1 was here before it was lost
    assertThat(applied.digest()).isEqualTo(LedgerDigest.ofFrames(lost));
    assertThat(isPoisoned(9)).isTrue();
    assertThat(at("sent PoisonOutcome")).isLessThan(log.lastIndexOf("sent PoisonMapApplied"));
  }

  @Test
  void aBreakBeforeTheGuestWasReleasedIsSurvivedToo() throws Exception {
    startAgain(WAIT);
    offer();
    sendMap(5);
    link.awaitSent(ControlMessage.PoisonMapApplied.class);

    breakAndDialAgain();
    ControlMessage.RecoveryEnd end = link.awaitSent(ControlMessage.RecoveryEnd.class);
    accept();
    awaitPhase(DestinationPhase.RECEIVING_MAP);
    link.say(new ControlMessage.GuestReleased(List.of()));
    link.awaitSent(ControlMessage.GuestResumed.class);

    assertThat(end).isEqualTo(new ControlMessage.RecoveryEnd(0, 1, false, false));
    assertThat(log).contains("resume");
  }

  @Test
  void aHandOverThatWasInterruptedIsMadeAgain() throws Exception {
    startAgain(WAIT);
    running(5);
    stream(0, 5);
    stream(6, 10);
    ControlMessage.HandOver first = link.awaitSent(ControlMessage.HandOver.class);

    breakAndDialAgain();
    accept();
    ControlMessage.HandOver second = link.awaitSent(ControlMessage.HandOver.class);
    link.say(new ControlMessage.HandOverAccepted());

    assertThat(awaitOutcome().kind()).isEqualTo(DestinationOutcome.Kind.COMPLETE);
    assertThat(second).isEqualTo(first);
    link.awaitSent(ControlMessage.HandOverConfirmed.class);
  }

  private static String refusalOf(CompletionStage<String> answer) {
    ExecutionException refused =
        assertThrows(
            ExecutionException.class, () -> answer.toCompletableFuture().get(20, TimeUnit.SECONDS));
    return refused.getCause().getMessage();
  }

  @Test
  void aSourceThatAsksBeforeTheGuestHasRunHearsThatItNeverWill() throws Exception {
    offer();
    sendMap(5);
    release();

    link.say(new ControlMessage.CancelRequest("too slow"));

    assertThat(link.awaitSent(ControlMessage.Farewell.class).guestNeverRan()).isTrue();
    assertThat(awaitOutcome().kind()).isEqualTo(Kind.ABORTED);
    assertThat(awaitOutcome().text()).contains("too slow").contains("still at the source");
    assertThat(log).doesNotContain("resume");
  }

  @Test
  void aSourceThatAsksTooLateHearsWhyAndTheGuestRunsOn() throws Exception {
    running(5);

    link.say(new ControlMessage.CancelRequest("too slow"));

    assertThat(link.awaitSent(ControlMessage.CancelRefused.class).reason())
        .isEqualTo(refusalOf(session.cancel("too slow")))
        .contains("15 of its 16 pages are at the source only");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RUNNING);
  }

  @Test
  void aCancelledGuestDoesNotRunThoughTheSourceCannotHearOfItYet() throws Exception {
    startAgain(WAIT);
    offer();
    sendMap(5);
    release();
    link.loseWhenConnected(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitPhase(DestinationPhase.RECOVERING);
    int before = link.lastAttempt();

    CompletionStage<String> cancel = session.cancel("too slow");
    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    assertThat(session.isCancelling()).isTrue();
    link.ready(ConnectionKind.CONTROL);
    assertThat(log).doesNotContain("sent Farewell"); // a stranger might be the one who answers
    link.say(new ControlMessage.SourceIdentity(MEMORY));

    assertThat(cancel.toCompletableFuture().get(20, TimeUnit.SECONDS))
        .contains("cancelled by an operator: too slow");
    assertThat(link.awaitSent(ControlMessage.Farewell.class).guestNeverRan()).isTrue();
    assertThat(log).doesNotContain("resume", "sent RecoveryEnd");
  }

  @Test
  void anOperatorsNewAddressIsDialledAtOnceAndByOneAttempt() throws Exception {
    startAgain(WAIT);
    running(5);
    int before = link.lastAttempt();
    log.clear();
    InetSocketAddress elsewhere = new InetSocketAddress("localhost", 2);

    String answer =
        session.reconnect(Optional.of(elsewhere)).toCompletableFuture().get(20, TimeUnit.SECONDS);
    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    Thread.sleep(300); // longer than the back-off that would have been waited for

    assertThat(answer)
        .endsWith(":2, session %s, attempt %d".formatted(session.session(), before + 1));
    assertThat(link.lastAttempt()).isEqualTo(before + 1);
    assertThat(log).filteredOn("connect CONTROL"::equals).hasSize(1);
    assertThat(session.peer().address()).endsWith(":2");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
  }

  @Test
  void aPhaseThatHasNothingToRecoverIsNamed() throws Exception {
    offer();
    awaitPhase(DestinationPhase.RECEIVING_MAP);

    assertThat(refusalOf(session.reconnect(Optional.empty())))
        .isEqualTo(
            "nothing to recover in phase RECEIVING_MAP; it is possible in phases RECOVERING and RUNNING");
  }

  @Test
  void whereTheFirstBreakIsTheLossOfTheSourceNoneIsMadeOnPurpose() throws Exception {
    running(5);

    assertThat(refusalOf(session.reconnect(Optional.empty()))).contains("--source-loss-after 0");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RUNNING);
  }

  @Test
  void aSourceThatDoesNotKnowTheSessionIsTriedAgainWhileTheGuestNeedsIt() throws Exception {
    startAgain(WAIT);
    running();
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");

    link.loseWhenConnected(
        ConnectionKind.CONTROL, refusal(Refusal.Code.NO_SESSION, "started anew"));
    awaitThat(() -> link.lastAttempt() > before + 1, "one more attempt");

    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
    assertThat(log).doesNotContain("pause");
  }

  @Test
  void aSourceWithOtherMemoryIsRefusedByNameAndTheRightOneStillCounts() throws Exception {
    startAgain(WAIT);
    running(5);
    stream(0, 3);
    breakAndAnswer();
    int wrong = link.lastAttempt();

    link.say(new ControlMessage.SourceIdentity(memory('b')));
    Refusal refusal = link.awaitSent(Refusal.class);
    awaitThat(() -> link.lastAttempt() > wrong, "one more attempt");
    boolean told = link.sent.stream().anyMatch(DestinationSessionKernelTest::isRecoveryEnd);
    link.ready(ConnectionKind.CONTROL);
    link.say(new ControlMessage.SourceIdentity(MEMORY));
    link.awaitSent(ControlMessage.RecoveryEnd.class);
    accept();

    awaitPhase(DestinationPhase.RUNNING);
    assertThat(refusal.code()).isEqualTo(Refusal.Code.OTHER_GUEST);
    assertThat(refusal.reason()).contains("1 of 1 sampled pages have other content").contains("0x");
    assertThat(told).isFalse();
    assertThat(log).doesNotContain("pause");
  }

  private static boolean isRecoveryEnd(Frame frame) {
    return frame instanceof ControlFrame control
        && control.message() instanceof ControlMessage.RecoveryEnd;
  }

  /** The worst that it could do: losses that it makes up would be for ever. */
  @ParameterizedTest
  @MethodSource("wordsOfAStranger")
  void whateverIsSaidBeforeTheProofChangesNothingAndEndsNothing(ControlMessage word)
      throws Exception {
    startAgain(WAIT);
    running();
    breakAndAnswer();
    int stranger = link.lastAttempt();

    link.say(word);
    awaitThat(() -> link.lastAttempt() > stranger, "one more attempt");

    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
    assertThat(isPoisoned(9)).isFalse();
    assertThat(LedgerJournal.read(directory).ledger().pageCount()).isZero();
    assertThat(List.copyOf(log)).doesNotContain("pause"); // it goes on dialling
  }

  private static Stream<ControlMessage> wordsOfAStranger() {
    return Stream.of(
        new ControlMessage.LatePoison(List.of(Fixture.lost(9))),
        new ControlMessage.PoisonMapCheck(),
        new ControlMessage.RecoveryAccepted(),
        new ControlMessage.GuestOffer(MEMORY, new byte[0]),
        new ControlMessage.Farewell("stopped by a signal", false),
        new Refusal(Refusal.Code.POISON_MAP, "another guest's"));
  }

  @ParameterizedTest
  @EnumSource(
      value = Refusal.Code.class,
      names = {"VERSION", "OTHER_GUEST", "PROTOCOL", "HOST", "BUSY"})
  void aStrangerThatRefusesTheSessionDoesNotEndIt(Refusal.Code code) throws Exception {
    startAgain(WAIT);
    running();
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");

    link.loseWhenConnected(ConnectionKind.CONTROL, refusal(code, "not here"));

    awaitThat(() -> link.lastAttempt() > before + 1, "one more attempt");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
  }

  @Test
  void aStrangerThatDoesNotSpeakTheProtocolDoesNotEndIt() throws Exception {
    startAgain(WAIT);
    running();
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");

    link.loseWhenConnected(ConnectionKind.CONTROL, new ProtocolException("not a frame"));

    awaitThat(() -> link.lastAttempt() > before + 1, "one more attempt");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
  }

  /** A guest that was handed over from here, and comes back to this host's ledger. */
  @Test
  void aGuestThatIsBackIsNotCalledGoneAnyMore() throws Exception {
    try (LedgerJournal ledger = LedgerJournal.open(directory, "vm-1")) {
      ledger
          .migrationFile()
          .write(
              new MigrationRecord(
                  MigrationRecord.Role.SOURCE,
                  "vm-1",
                  new UUID(1, 2),
                  1,
                  MigrationRecord.Stage.HANDED_OVER,
                  "host-a",
                  Instant.EPOCH,
                  Optional.of(MEMORY),
                  Map.of()));
    }
    running();
    stream(0, PAGES);
    link.awaitSent(ControlMessage.HandOver.class);
    boolean goneTillThen = MigrationFile.peek(directory).isPresent();

    link.say(new ControlMessage.HandOverAccepted());

    assertThat(awaitOutcome().kind()).isEqualTo(DestinationOutcome.Kind.COMPLETE);
    assertThat(goneTillThen).isTrue();
    assertThat(MigrationFile.peek(directory)).isEmpty();
  }

  @Test
  void byPolicyWhatNeverArrivedFromALostSourceIsPoisonAndTheGuestRunsOn() throws Exception {
    startAgain(new SourceLoss(SourceLoss.Policy.POISON, Duration.ZERO));
    running(5);
    stream(0, 3);
    CompletableFuture<Integer> toucher = touch(7);
    awaitThat(() -> requests().size() == 1, "the request");

    link.lose(ConnectionKind.CONTROL, new IOException("the host burnt down"));
    DestinationOutcome end = awaitOutcome();

    assertThat(TouchedMemory.await(toucher)).isEqualTo(-Errno.EFAULT.intValue());
    assertThat(end.kind()).isEqualTo(DestinationOutcome.Kind.SOURCE_LOST);
    assertThat(end.text()).contains("12 of the guest's 16 pages had not arrived and are poison");
    assertThat(session.phase()).isEqualTo(DestinationPhase.COMPLETE);
    assertThat(isPoisoned(3)).isTrue();
    assertThat(isPoisoned(15)).isTrue();
    assertThat(isPoisoned(2)).isFalse();
    assertThat(session.report().pagesPoisoned()).isEqualTo(13);
    assertThat(log).doesNotContain("pause");
    session.close();
    try (LedgerJournal ledger = LedgerJournal.open(directory, "vm-1")) {
      assertThat(ledger.ledger().pageCount()).isEqualTo(13);
      assertThat(ledger.ledger().effectiveEntries())
          .filteredOn(entry -> entry.origin().discovery() == Origin.Discovery.SOURCE_LOST)
          .allSatisfy(entry -> assertThat(entry.origin().host()).isEqualTo("host-b"))
          .hasSize(4); // pages 3, 4, 6 and 7, and 8 to 15 as one extent
    }
  }

  @Test
  void aGuestWithAllOfItsPagesDoesNotWaitForALostSource() throws Exception {
    startAgain(new SourceLoss(SourceLoss.Policy.WAIT, Duration.ZERO));
    running();
    stream(0, PAGES);
    link.awaitSent(ControlMessage.HandOver.class);

    link.lose(ConnectionKind.CONTROL, new IOException("the host burnt down"));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(DestinationOutcome.Kind.COMPLETE);
    assertThat(end.text()).contains("every page is here", "has not said that it lets go");
  }

  @Test
  void aGuestThatNeverRanHereIsGivenBackByName() throws Exception {
    offer();
    sendMap();
    link.awaitSent(ControlMessage.PoisonMapApplied.class);

    session.abandon("stopped by a signal");

    assertThat(awaitOutcome().kind()).isEqualTo(DestinationOutcome.Kind.ABORTED);
    assertThat(link.awaitSent(ControlMessage.Farewell.class))
        .isEqualTo(new ControlMessage.Farewell("stopped by a signal", true));
  }

  @Test
  void aSourceThatHasTakenItsGuestBackIsBelieved() throws Exception {
    startAgain(WAIT);
    offer();
    sendMap();
    link.awaitSent(ControlMessage.PoisonMapApplied.class);
    int before = link.lastAttempt();
    link.lose(ConnectionKind.CONTROL, new IOException("the cable was cut"));
    awaitThat(() -> link.lastAttempt() > before, "another attempt");

    link.loseWhenConnected(
        ConnectionKind.CONTROL, refusal(Refusal.Code.NO_SESSION, "the guest is back"));

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(DestinationOutcome.Kind.ABORTED);
    assertThat(end.text()).contains("the guest is back", "it is still at the source");
  }

  /** A process that is stopped, on a host whose kernel goes on. */
  @Test
  void aSourceThatTakesTheConnectionAndSaysNothingIsLostWhenItsTimeIsOver() throws Exception {
    startAgain(new SourceLoss(SourceLoss.Policy.PAUSE, Duration.ofMillis(300)));
    running();

    breakAndDialAgain();

    DestinationOutcome end = awaitOutcome();
    assertThat(end.kind()).isEqualTo(DestinationOutcome.Kind.UNFINISHED);
    assertThat(end.text()).contains("could not be reached");
    assertThat(log).contains("pause");
  }

  @Test
  void aSourceThatNoticesABreakFirstRefusesConnectionsForPagesAndThatIsABreak() throws Exception {
    startAgain(WAIT);
    running();
    int before = link.lastAttempt();

    link.lose(ConnectionKind.STREAM, refusal(Refusal.Code.NO_SESSION, "attempt 1 is over"));

    awaitThat(() -> link.lastAttempt() > before, "another attempt");
    assertThat(session.phase()).isEqualTo(DestinationPhase.RECOVERING);
  }
}
