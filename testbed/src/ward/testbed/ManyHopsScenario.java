package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.LedgerJournal;
import ward.poison.LedgerSnapshot;
import ward.poison.PoisonEntry;
import ward.testbed.lab.DirectoryTree;
import ward.testing.RequiresKvm;

/**
 * A guest that goes from a to b to c to d and back to a: each host loses pages of it while it
 * leaves, and what was lost anywhere is lost at the end.
 */
@RequiresKvm
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class ManyHopsScenario {

  private static final List<String> BETWEEN = List.of("b", "c", "d");
  private static final Set<String> IN_A_MEMFD = Set.of("c", "d");
  private static final int LOST_PER_HOST = 3;
  private static final int REPORTED_AT_ONCE = 12;
  private static final LoopbackSettings AT_A =
      new LoopbackSettings(
          16 << 20, 2, 5, 4, LOST_PER_HOST, 31, "kvm", "auto", true, Duration.ofMinutes(3));

  private final Deadline deadline = new Deadline(AT_A.deadline());
  private final List<Hop> hops = new ArrayList<>();
  private final PageSet lost = new PageSet();
  private Path directory;

  @BeforeEach
  void makeDirectory() throws IOException {
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-hops-");
  }

  @AfterEach
  void endDaemonsAndDeleteFiles() throws IOException {
    hops.forEach(Hop::close);
    DirectoryTree.delete(directory);
  }

  @Test
  void whatIsLostOnAnyHostIsLostOnEveryLaterOneAndTheLedgerSaysWhereFrom() throws IOException {
    try (FileChannel memory =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest guest =
          new WalkerGuestBuilder(AT_A.memoryBytes(), AT_A.vcpus(), AT_A.seed())
              .walkingUntilMoved(BETWEEN.size() + 1)
              .writeTo(memory);
      try (MigrationSource a =
          new MigrationSource(AT_A, directory, List.of(), guest, progress -> {})) {
        a.start("127.0.0.1", 0, "a", deadline);
        Hop last = travel(a, guest);

        JsonNode status = awaitEndAt(last);

        requireNothingLostButWhatWasSaidSo(status, last, guest, memory, a);
        requireWholeHistory(a.ledger(), guest);
      }
    }
  }

  /** Over all hosts and back to the first, which has the ledger of its own beginning. */
  private Hop travel(MigrationSource a, WalkerGuest guest) throws IOException {
    Hop next = arrive(BETWEEN.get(0), a.port(), directory.resolve("ledger-b"), "--offer");
    a.awaitAnswers(50, deadline, next::status);
    a.reportLatePoison();
    a.stream();
    a.lost().forEach(lost::add);
    int port = next.awaitOffer(deadline);
    assertEquals(0, a.await(deadline), a::errors);
    for (String host : List.of("c", "d", "a")) {
      Hop leaving = next;
      leaving.stream(true);
      boolean isBack = host.equals("a");
      Path ledger = isBack ? a.ledger() : directory.resolve("ledger-" + host);
      next = arrive(host, port, ledger, isBack ? "--keep" : "--offer");
      leaving.awaitAnswers(50, deadline);
      assertEquals(1L << 30, leaving.onward().get("streamLimit").asLong());
      losePages(leaving, guest);
      leaving.stream(false);
      if (!isBack) {
        port = next.awaitOffer(deadline);
      }
      assertEquals(0, leaving.daemon().await(deadline), leaving.daemon()::errors);
    }
    return next;
  }

  private Hop arrive(String host, int source, Path ledger, String afterwards) throws IOException {
    List<String> more = new ArrayList<>(List.of(afterwards));
    if (afterwards.equals("--offer")) {
      more.addAll(List.of("127.0.0.1:0", "--bandwidth", "1G"));
    }
    more.addAll(List.of("--memory", IN_A_MEMFD.contains(host) ? "memfd" : "anonymous"));
    Hop hop = new Hop(host, directory, source, ledger, more.toArray(String[]::new));
    hops.add(hop);
    return hop;
  }

  /** Reports pages until enough of them had not left yet. */
  private void losePages(Hop leaving, WalkerGuest guest) throws IOException {
    long target = lost.size() + LOST_PER_HOST;
    List<Long> candidates =
        PoisonPlan.draw(guest, AT_A).lateCandidates().stream()
            .filter(page -> !lost.contains(page))
            .toList();
    for (int next = 0; lost.size() < target; next += REPORTED_AT_ONCE) {
      List<Long> some = candidates.subList(next, next + REPORTED_AT_ONCE);
      leaving.report(guest.layout(), some).forEach(lost::add);
    }
  }

  private JsonNode awaitEndAt(Hop last) throws IOException {
    JsonNode[] status = new JsonNode[1];
    deadline.await(
        "the guest to end on its last host",
        () -> {
          status[0] = last.status();
          return status[0] != null
              && status[0].get("phase").asText().equals("COMPLETE")
              && status[0].get("guestEnded").asBoolean();
        });
    return status[0];
  }

  private void requireNothingLostButWhatWasSaidSo(
      JsonNode status, Hop last, WalkerGuest guest, FileChannel memory, MigrationSource a)
      throws IOException {
    List<Long> addresses = new ArrayList<>();
    status
        .get("regions")
        .forEach(region -> addresses.add(Long.decode(region.get("hostAddress").asText())));
    PageSet changed = guest.stackPages().copy();
    changed.addAll(guest.counterPages());
    try (OutsideView view = new OutsideView(last.daemon().pid(), guest.layout(), addresses)) {
      OutsideView.Comparison seen = view.compare(guest, memory, lost, changed);
      assertEquals(0, seen.wrongPages());
      assertEquals(0, seen.healedPages());
      assertEquals(lost.size(), seen.markers());
      assertEquals(seen.sourceDigest(), seen.destinationDigest());
    }
    List<Path> logs = new ArrayList<>(List.of(a.guestLog()));
    hops.forEach(hop -> logs.add(hop.guestLog()));
    PageSet fromTheStart = PoisonPlan.draw(guest, AT_A).fromTheStart();
    Witness witness =
        new MovedWitness(guest, memory, lost, fromTheStart)
            .judge(Witness.reports(logs), Witness.reports(List.of(a.guestLog())));
    assertEquals(List.of(), witness.faults());
    assertEquals(0, witness.wrongAddress());
    assertThat(witness.seen()).isGreaterThan(lost.size());
  }

  private void requireWholeHistory(Path ledger, WalkerGuest guest) throws IOException {
    LedgerSnapshot snapshot = LedgerJournal.read(ledger);
    PageSet frames = new PageSet();
    lost.forEach(page -> frames.add(guest.layout().addressOf(page) >>> Pages.SHIFT));
    assertEquals(frames, snapshot.ledger().frames());
    assertThat(snapshot.departures())
        .extracting(Departure::host)
        .containsExactly("a", "b", "c", "d");
    assertThat(snapshot.departures()).isSortedAccordingTo(Comparator.comparing(Departure::time));
    Set<String> finders =
        snapshot.ledger().entries().stream()
            .map(PoisonEntry::origin)
            .map(origin -> origin.host())
            .collect(Collectors.toSet());
    assertThat(finders).contains("a", "b", "c", "d");
  }
}
