package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.ExitCode;
import ward.wire.ConnectionKind;

/** A network between two real processes that changes bits, which TCP's own checksum lets pass. */
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class DamagedPagesScenario {

  private static final long MEMORY_BYTES = 32 << 20;
  private static final Duration TIME = Duration.ofMinutes(2);

  @TempDir Path directory;

  private static Fault flip(
      ConnectionKind kind, int frameKind, long frame, long offset, int times) {
    return new Fault(
        kind,
        LinkDirection.TO_DESTINATION,
        new Fault.InBody(frameKind, frame, offset),
        new Fault.Flip((int) (offset % 8)),
        times);
  }

  private static void injectSome(FaultyLink link) {
    // The first byte of a page, the last one, one in the middle; twice the answer to one request.
    link.inject(flip(ConnectionKind.URGENT, Fault.DATA, 1, 0, 1));
    link.inject(flip(ConnectionKind.URGENT, Fault.DATA, 20, 4095, 2));
    link.inject(flip(ConnectionKind.URGENT, Fault.DATA, 40, 1234, 1));
    link.inject(flip(null, Fault.POISONED, 1, 10, 2));
    link.inject(flip(ConnectionKind.STREAM, Fault.DATA, 1, 0, 1));
    link.inject(flip(ConnectionKind.STREAM, Fault.DATA, 3, 4095, 20));
  }

  @Test
  void everyDamagedPageIsAskedForAgainAndEveryByteIsRightInTheEnd() throws IOException {
    LoopbackSettings settings = new LoopbackSettings(MEMORY_BYTES, 2, 5, 12, 4, 17, "auto", TIME);
    LoopbackRun.Supply here = () -> Network.plain("a link that damages is in between");
    FaultyLink[] link = new FaultyLink[1];
    try (LoopbackRun run = new LoopbackRun(settings, line -> {}, here)) {
      run.takeDetour(
          source -> {
            link[0] = new FaultyLink(source);
            injectSome(link[0]);
            return link[0].address();
          });

      LoopbackResult result = run.run();

      assertEquals(List.of(), result.failures(), run::logs);
      assertEquals(result.digestSource(), result.digestDestination());
      assertEquals(27, link[0].count(Fault.Flip.class), "every flip that was ordered was met");
      JsonNode status = run.lastStatus();
      assertEquals(27, status.get("damagedAnswers").asLong());
      // A frame of the stream has up to 64 pages, some of which may be asked for already.
      assertThat(status.get("pagesAskedAgain").asLong()).isBetween(1L, 27 * 64L);
      assertThat(run.logs())
          .containsPattern(
              "guest-physical address 0x[0-9a-f]+ is not what was sent: checksum 0x[0-9a-f]{8} was"
                  + " sent, the bytes give 0x[0-9a-f]{8}; \\d+ pages are asked for again");
    } finally {
      if (link[0] != null) {
        link[0].close();
      }
    }
  }

  /** The guest gets a hundred whole answers first, so that there is memory to be wrong. */
  @Test
  void aPageThatAlwaysComesDamagedEndsTheMigrationByNameAndNothingWrongIsInMemory()
      throws IOException {
    LoopbackSettings settings = new LoopbackSettings(MEMORY_BYTES, 2, 0, 0, 0, 18, "auto", TIME);
    Deadline deadline = new Deadline(TIME);
    try (FileChannel memory = openMemory()) {
      WalkerGuest guest = settings.guest().writeTo(memory);
      try (MigrationSource source =
              new MigrationSource(settings, directory, List.of(), guest, line -> {});
          MigrationDestination destination =
              new MigrationDestination(settings, directory, List.of())) {
        source.start("127.0.0.1", 0, "damaged-source", deadline);
        try (FaultyLink link = new FaultyLink(new InetSocketAddress("127.0.0.1", source.port()))) {
          link.inject(flip(ConnectionKind.URGENT, Fault.DATA, 101, 2048, Fault.ALWAYS));
          link.inject(flip(ConnectionKind.STREAM, Fault.DATA, 1, 2048, Fault.ALWAYS));

          destination.start("127.0.0.1:" + link.address().getPort(), "damaged-destination");
          JsonNode status = destination.awaitEnd(deadline);

          assertEquals("UNFINISHED", status.get("phase").asText());
          assertThat(status.get("damagedAnswers").asLong()).isGreaterThanOrEqualTo(3);
          OutsideView.Arrived arrived = destination.examineArrived(status, guest, memory);
          assertThat(arrived.pages()).isGreaterThanOrEqualTo(100);
          assertEquals(0, arrived.wrong());
          assertEquals(
              status.get("pages").get("pagesData").asLong()
                  + status.get("pages").get("pagesZero").asLong(),
              arrived.pages(),
              "what is in memory is what came whole");
          assertEquals(ExitCode.PEER_REFUSED.code(), destination.end(deadline));
          assertThat(destination.errors())
              .containsPattern(
                  "the page at guest-physical address 0x[0-9a-f]+ came damaged 3 times")
              .containsPattern(
                  "checksum 0x[0-9a-f]{8} was sent, the bytes give 0x[0-9a-f]{8}; the network")
              .contains("the guest is paused here");
          assertTrue(link.count(Fault.Flip.class) >= 3);
        }
      }
    }
  }

  /** The second message of a source is the guest's shape: it comes before anything is in place. */
  @Test
  void aDamagedMessageIsNotBelievedAndTheErrorHasBothSums() throws IOException {
    LoopbackSettings settings = new LoopbackSettings(MEMORY_BYTES, 2, 0, 0, 0, 19, "auto", TIME);
    Deadline deadline = new Deadline(TIME);
    try (FileChannel memory = openMemory()) {
      WalkerGuest guest = settings.guest().writeTo(memory);
      try (MigrationSource source =
              new MigrationSource(settings, directory, List.of(), guest, line -> {});
          MigrationDestination destination =
              new MigrationDestination(settings, directory, List.of())) {
        source.start("127.0.0.1", 0, "damaged-source", deadline);
        try (FaultyLink link = new FaultyLink(new InetSocketAddress("127.0.0.1", source.port()))) {
          link.inject(flip(ConnectionKind.CONTROL, Fault.MESSAGE, 2, 20, 1));

          destination.start("127.0.0.1:" + link.address().getPort(), "damaged-destination");

          assertEquals(ExitCode.UNFINISHED_BEFORE_RUN.code(), destination.await(deadline));
          assertThat(destination.errors())
              .containsPattern(
                  "MESSAGE with a body of \\d+ bytes came with checksum 0x[0-9a-f]{8}, its bytes give"
                      + " 0x[0-9a-f]{8}: something on the way changed them")
              .contains("it is still at the source");
        }
      }
    }
  }

  private FileChannel openMemory() throws IOException {
    return FileChannel.open(
        directory.resolve("memory"),
        StandardOpenOption.CREATE,
        StandardOpenOption.READ,
        StandardOpenOption.WRITE);
  }
}
