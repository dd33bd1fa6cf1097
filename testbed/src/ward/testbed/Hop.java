package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import java.io.IOException;
import java.nio.file.Path;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import ward.cli.ControlClient;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.wire.ControlMessage;

/** A host in the middle of a guest's way: a {@code ward destination} that offers it on. */
final class Hop implements AutoCloseable {

  private final String host;
  private final Path directory;
  private final Daemon daemon;

  /**
   * @param source where the guest is fetched
   * @param ledger of this host
   */
  Hop(String host, Path directory, int source, Path ledger, String... more) throws IOException {
    this.host = host;
    this.directory = directory;
    List<String> command = new ArrayList<>(List.of("destination", "--json", "--vcpu", "kvm"));
    command.addAll(List.of("--connect", "127.0.0.1:" + source, "--host", host));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--ledger", ledger.toString(), "--control", control().toString()));
    command.addAll(List.of("--guest-log", guestLog().toString()));
    command.addAll(List.of(more));
    daemon = Daemon.start(directory, host, List.of(), command);
  }

  private Path control() {
    return directory.resolve(host + ".sock");
  }

  Path guestLog() {
    return directory.resolve(host + "-guest.log");
  }

  Daemon daemon() {
    return daemon;
  }

  /** Null while the daemon does not answer yet. */
  JsonNode status() throws IOException {
    return daemon.status(control());
  }

  /** Where the next destination connects to, once the guest is here, whole. */
  int awaitOffer(Deadline deadline) throws IOException {
    deadline.await("the guest to be offered by " + host, () -> onward() != null);
    return onward().get("port").asInt();
  }

  /** How far the guest is on its way to the next host; null while it is not offered. */
  JsonNode onward() throws IOException {
    JsonNode status = status();
    return status == null || status.get("onward").isNull() ? null : status.get("onward");
  }

  /** Until the guest runs at the next host and has asked for so many pages. */
  void awaitAnswers(long answers, Deadline deadline) throws IOException {
    deadline.await(
        "the guest that left %s to ask for %d pages".formatted(host, answers),
        () ->
            onward().get("phase").asText().equals("SERVING")
                && onward().get("answered").asLong() >= answers);
  }

  void stream(boolean paused) throws IOException {
    ControlClient.send(control(), new ControlMessage.StreamControl(paused));
  }

  /** This host loses pages while it serves; answers which of them are lost for the guest. */
  PageSet report(GuestLayout layout, List<Long> pages) throws IOException {
    Origin origin = new Origin(host, Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries =
        pages.stream().map(page -> LostPageEntry.of(layout, page, origin)).toList();
    ControlMessage.ReportPoisonResult result =
        (ControlMessage.ReportPoisonResult)
            ControlClient.send(control(), new ControlMessage.ReportPoison(entries));
    PageSet lost = new PageSet();
    result.poisoned().forEach(frame -> lost.add(layout.pageAt(frame << Pages.SHIFT).orElseThrow()));
    return lost;
  }

  @Override
  public void close() {
    daemon.close();
  }
}
