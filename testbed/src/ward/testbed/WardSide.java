package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import ward.cli.ControlClient;
import ward.vcpu.TouchPlan.Touch;
import ward.wire.ControlMessage;

/**
 * Ward: `ward source` and `ward destination`, new ones for every round. The destination's threads
 * measure their own loads ({@code --touch-plan}) by the same C loop as the yardstick's, and nothing
 * asks a daemon anything while they do.
 *
 * @param rehearsalPages of both daemons; empty: as many as they take by themselves
 */
record WardSide(OptionalInt rehearsalPages) implements BenchSide {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long LOOK_MILLIS = 40;

  /** A status is text that the destination makes while it streams: 3 ms of a processor. */
  private static final long STATUS_MILLIS = 250;

  @Override
  public String name() {
    return "ward";
  }

  @Override
  public boolean takesPart(BenchCase.Kind kind) {
    return kind != BenchCase.Kind.PAGE_TABLE;
  }

  @Override
  public BenchRound run(BenchGround ground) throws IOException {
    Deadline deadline = ground.deadline();
    ground.layOutPlan();
    ground.layOutLedger(ground.path("ledger-source"));
    ground.clear(ground.path("ledger-destination"));
    for (String left : List.of("source.sock", "destination.sock", "guest.log")) {
      Files.deleteIfExists(ground.path(left));
    }
    try (Daemon source = start(ground, "source", sourceWords(ground))) {
      Path control = ground.path("source.sock");
      deadline.await("the source to listen", () -> source.status(control) != null);
      int port = source.status(control).get("port").asInt();
      try (Daemon destination = start(ground, "destination", destinationWords(ground, port))) {
        deadline.watch(() -> requireWell(source, destination));
        return follow(ground, source, destination, deadline);
      }
    }
  }

  private Daemon start(BenchGround ground, String name, List<String> words) throws IOException {
    rehearsalPages.ifPresent(pages -> words.addAll(List.of("--rehearsal", "" + pages)));
    return Daemon.start(ground.directory(), name, ground.of().prefix(), words);
  }

  private static List<String> sourceWords(BenchGround ground) {
    List<String> words = new ArrayList<>(List.of("source", "--json", "--host", "bench-source"));
    words.addAll(
        List.of("--listen", "127.0.0.1:0", "--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    words.addAll(List.of("--memory", ground.memory().toString()));
    words.addAll(List.of("--layout", ground.layout().toString()));
    words.addAll(List.of("--ledger", ground.path("ledger-source").toString()));
    words.addAll(List.of("--control", ground.path("source.sock").toString()));
    if (ground.of().toucher() == BenchCase.Toucher.VCPUS) {
      words.addAll(List.of("--vcpu-state", ground.states().toString()));
    }
    words.add("--pause-stream");
    return words;
  }

  private static List<String> destinationWords(BenchGround ground, int port) {
    List<String> words = new ArrayList<>(List.of("destination", "--json", "--keep"));
    words.addAll(List.of("--host", "bench-destination", "--connect", "127.0.0.1:" + port));
    words.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    words.addAll(List.of("--ledger", ground.path("ledger-destination").toString()));
    words.addAll(List.of("--control", ground.path("destination.sock").toString()));
    words.addAll(List.of("--guest-log", ground.path("guest.log").toString()));
    words.addAll(List.of("--memory", ground.of().memory().word()));
    if (ground.of().collapses()) {
      words.add("--collapse");
    }
    if (ground.of().toucher() == BenchCase.Toucher.VCPUS) {
      words.addAll(List.of("--vcpu", "kvm"));
    } else {
      words.addAll(List.of("--vcpu", "thread", "--touch-plan", ground.plan().toString()));
      words.addAll(List.of("--threads", Integer.toString(Math.max(1, ground.of().threads()))));
    }
    return words;
  }

  private static void requireWell(Daemon... daemons) throws IOException {
    for (Daemon daemon : daemons) {
      Optional<String> failure = daemon.failure();
      if (failure.isPresent()) {
        throw new IOException(failure.get());
      }
    }
  }

  private static BenchRound follow(
      BenchGround ground, Daemon source, Daemon destination, Deadline deadline) throws IOException {
    if (ground.of().kind() == BenchCase.Kind.STREAM) {
      Path sourceControl = ground.path("source.sock");
      deadline.await("the guest to run", () -> isRunning(source.status(sourceControl)));
      YardstickProcess.warmMemory(ground.of().bytes());
      letStream(ground);
    } else if (ground.of().streams()) {
      deadline.await("half of the plan", ground::isHalfDone);
      letStream(ground);
    }
    deadline.await("the plan to be carried out", () -> isPlanDoneNow(ground));
    double hugeBefore = ground.of().collapses() ? hugeBytes(ground, destination) : 0;
    // What nobody touched is not there yet: all of it is to be looked at.
    if (ground.of().collapses()
        || ground.of().kind() == BenchCase.Kind.POISON_MAP
        || ground.of().toucher() == BenchCase.Toucher.VCPUS) {
      letStream(ground);
    }
    Path control = ground.path("destination.sock");
    deadline.await("the migration to end", () -> isCompleteNow(ground, destination));
    JsonNode status = destination.status(control);
    long address = hostAddress(status);
    ground.check(destination.pid(), address);
    Touch[] touches = ground.touches(destination.pid(), address);
    BenchRound.Collapsed collapsed =
        ground.of().collapses()
            ? new BenchRound.Collapsed(
                status.get("collapse").get("nanos").asLong(),
                hugeBefore,
                HugeMemory.bytes(destination.pid(), address))
            : null;
    destination.terminate();
    requireDone("source", source.await(deadline), source);
    requireDone("destination", destination.await(deadline), destination);
    JsonNode said = JSON.readTree(source.output()).get("status");
    return new BenchRound(
        touches,
        ground.of().streams() ? status.get("streamMebibytesPerSecond").asDouble() : 0,
        said.get("mapWireNanos").asLong(),
        said.get("mapNanos").asLong(),
        ground.mapBytes(),
        collapsed);
  }

  private static long hugeBytes(BenchGround ground, Daemon destination) throws IOException {
    JsonNode status = destination.status(ground.path("destination.sock"));
    return HugeMemory.bytes(destination.pid(), hostAddress(status));
  }

  private static long hostAddress(JsonNode status) {
    return Long.decode(status.get("regions").get(0).get("hostAddress").asText());
  }

  private static void letStream(BenchGround ground) throws IOException {
    ControlClient.send(ground.path("source.sock"), new ControlMessage.StreamControl(false));
  }

  /** Seldom: a look takes time from those that are measured. */
  private static boolean isPlanDoneNow(BenchGround ground) throws IOException {
    pause(LOOK_MILLIS);
    return ground.of().toucher() == BenchCase.Toucher.VCPUS
        ? areVcpusDone(ground)
        : ground.isPlanDone();
  }

  private static void pause(long millis) throws IOException {
    try {
      Thread.sleep(millis);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Each reports one word when it has read everything. */
  private static boolean areVcpusDone(BenchGround ground) throws IOException {
    Path log = ground.path("guest.log");
    return Files.exists(log) && Files.readAllLines(log).size() == ground.of().threads();
  }

  private static boolean isRunning(JsonNode status) {
    return status != null && status.get("phase").asText().equals("SERVING");
  }

  private static boolean isCompleteNow(BenchGround ground, Daemon destination) throws IOException {
    if (ground.of().streams()) {
      pause(STATUS_MILLIS);
    }
    return isComplete(ground, destination.status(ground.path("destination.sock")));
  }

  private static boolean isComplete(BenchGround ground, JsonNode status) {
    return status != null
        && (!ground.of().collapses() || !status.get("collapse").isNull())
        && status.get("phase").asText().equals("COMPLETE")
        && status.get("guestEnded").asBoolean();
  }

  private static void requireDone(String name, int code, Daemon daemon) throws IOException {
    if (code != 0) {
      throw new IOException(
          "ward %s ended with exit code %d:%n%s".formatted(name, code, daemon.lastLines()));
    }
  }
}
