package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.IOException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.poison.LedgerJournal;
import ward.testing.RequiresKvm;
import ward.wire.ConnectionKind;
import ward.wire.ControlMessage;

/** A guest that runs at the source, and whose operator does not want it to go after all. */
@RequiresKvm
@Timeout(value = 3, unit = TimeUnit.MINUTES)
class CancelledGuestScenario extends OperatedMigration {
  /** The destination takes the map and may run the guest, but does not get to it. */
  private FaultyLink holdBeforeTheGuestRuns() throws IOException {
    FaultyLink link = link();
    link.inject(stop(ConnectionKind.URGENT, LinkDirection.TO_SOURCE, new Fault.AtByte(0)));
    startDestination(link.address());
    awaitPhase("MAP_APPLIED", "source");
    return link;
  }

  private void requireGuestBackAtSource(int attempts) throws IOException {
    awaitPhase("LISTENING", "source");
    assertEquals(attempts, status("source").get("attempts").asInt());
    assertEquals("running", status("source").get("guest").asText());
    awaitMoreWalks();
  }

  private void requireDestinationEnded() throws IOException {
    assertEquals(
        ExitCode.UNFINISHED_BEFORE_RUN.code(), destination.await(deadline), destination::errors);
    assertThat(destination.errors()).contains("cancelled by an operator: too slow");
  }

  @Test
  void whileTheMapIsSentTheSourceCancelsByItselfAndItsGuestRunsOn() throws IOException {
    declareLoss();
    startSource(true);
    cancel("source");
    requireGuestBackAtSource(1); // nobody had come: nothing changes
    FaultyLink link = link();
    link.inject(
        stop(
            ConnectionKind.CONTROL,
            LinkDirection.TO_SOURCE,
            new Fault.InBody(Fault.MESSAGE, 2, 0))); // PoisonMapApplied
    startDestination(link.address());
    awaitPhase("SENDING_MAP", "source");
    deadline.await("the destination to hold back", () -> link.count(Fault.Stall.class) == 1);

    cancel("source");

    requireDestinationEnded();
    requireGuestBackAtSource(2);
    assertThat(LedgerJournal.read(path("destination-ledger")).ledger().pageCount())
        .as("what is lost stays lost, also where the guest did not go")
        .isEqualTo(1);
  }

  @Test
  void onceTheGuestIsReleasedTheSourceAsksTheDestinationAndTheNextOneMayCome() throws IOException {
    startSource(true);
    holdBeforeTheGuestRuns();

    cancel("source");

    requireDestinationEnded();
    requireGuestBackAtSource(1);
    startDestination(listening(), "next");
    awaitPhase("SERVING", "source");
  }

  @Test
  void aLimitOfTheStreamOutlivesTheAttemptThatItWasSetIn() throws IOException {
    startSource(true);
    holdBeforeTheGuestRuns();
    ControlClient.send(path("source.sock"), new ControlMessage.StreamLimit(1 << 20));

    cancel("destination");

    requireDestinationEnded();
    requireGuestBackAtSource(1);
    assertEquals(1 << 20, status("source").get("streamLimit").asLong());
  }

  @Test
  void theDestinationCancelsBeforeItRunsTheGuest() throws IOException {
    startSource(true);
    holdBeforeTheGuestRuns();

    cancel("destination");

    requireDestinationEnded();
    requireGuestBackAtSource(1);
  }

  /** Both sides know each other, have lost sight of each other, and the guest has not run. */
  private FaultyLink breakBeforeTheGuestRuns() throws IOException {
    FaultyLink link = holdBeforeTheGuestRuns();
    link.refuse();
    link.resetAll();
    awaitPhase("AWAITING_RETURN", "source");
    awaitPhase("RECOVERING", "destination");
    return link;
  }

  @Test
  void aSourceThatCancelsDuringABreakAsksWhenTheDestinationIsBack() throws IOException {
    startSource(true);
    FaultyLink link = breakBeforeTheGuestRuns();

    Order cancel = order("cancel", "source", "--reason", "too slow");
    deadline.await("the wish to be known", () -> status("source").get("cancelling").asBoolean());
    link.accept();

    assertEquals(0, cancel.await(deadline), cancel::errors);
    requireDestinationEnded();
    requireGuestBackAtSource(1);
  }

  @Test
  void aDestinationThatCancelsDuringABreakDialsUntilTheSourceKnows() throws IOException {
    startSource(true);
    FaultyLink link = breakBeforeTheGuestRuns();

    Order cancel = order("cancel", "destination", "--reason", "too slow");
    deadline.await(
        "the wish to be known", () -> status("destination").get("cancelling").asBoolean());
    link.accept();

    assertEquals(0, cancel.await(deadline), cancel::errors);
    requireDestinationEnded();
    requireGuestBackAtSource(1);
  }

  @Test
  void aDestinationThatIsGoneIsAnsweredForByTheOperator() throws IOException {
    startSource(true);
    breakBeforeTheGuestRuns();
    destination.kill();

    Order cancel = order("cancel", "source", "--never-ran");

    assertEquals(0, cancel.await(deadline), cancel::errors);
    requireGuestBackAtSource(1);
  }
}
