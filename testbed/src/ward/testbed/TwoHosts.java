package ward.testbed;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import ward.memory.PageSet;
import ward.poison.LedgerJournal;

/**
 * The migration of the loopback between two hosts that share nothing but a network: run on both,
 * the environment's {@code WARD_HOST} says which part each plays. Host 1 is the source; host 2 is
 * the destination and gives the verdict.
 *
 * <p>Both make the guest from the same seed, so the destination knows what it should receive
 * without having been told. What it cannot know it gets from host 1 over a {@link Rendezvous}.
 */
@Command(name = "two-hosts", mixinStandardHelpOptions = true)
final class TwoHosts implements Callable<Integer> {

  private static final String SOURCE_ADDRESS = "10.83.0.1";
  private static final int PORT = 7080;
  private static final int ANSWERS_BEFORE_LATE_POISON = 100;
  private static final int FAILED = 1;

  @Option(names = "--memory", defaultValue = "16M")
  MemorySize memory;

  @Option(names = "--vcpus", defaultValue = "1")
  int vcpus;

  @Option(names = "--poison", defaultValue = "16")
  int poison;

  @Option(names = "--late-poison", defaultValue = "4")
  int latePoison;

  @Option(names = "--seed", defaultValue = "7")
  long seed;

  @Option(names = "--vcpu", defaultValue = "kvm")
  String vcpu;

  @Option(names = "--marker", defaultValue = "auto")
  String marker;

  @Option(names = "--timeout", defaultValue = "400")
  long timeoutSeconds;

  @Option(names = "--json")
  Path json;

  private final Path directory;

  private TwoHosts() throws IOException {
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-two-hosts-");
  }

  public static void main(String[] arguments) throws IOException {
    CommandLine command = new CommandLine(new TwoHosts());
    command.registerConverter(MemorySize.class, MemorySize::parse);
    System.exit(command.execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    Deadline deadline = new Deadline(Duration.ofSeconds(timeoutSeconds));
    LoopbackSettings settings =
        new LoopbackSettings(
            memory.bytes(),
            vcpus,
            (poison + 1) / 2,
            poison / 2,
            latePoison,
            seed,
            vcpu,
            marker,
            true,
            Duration.ofSeconds(timeoutSeconds));
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest guest = settings.guest().writeTo(file);
      return switch (String.valueOf(System.getenv("WARD_HOST"))) {
        case "1" -> source(settings, guest, deadline);
        case "2" -> destination(settings, guest, file, deadline);
        default -> throw new IOException("WARD_HOST is neither 1 nor 2: run this on both hosts");
      };
    }
  }

  private int source(LoopbackSettings settings, WalkerGuest guest, Deadline deadline)
      throws IOException {
    try (MigrationSource source =
        new MigrationSource(settings, directory, List.of(), guest, System.out::println)) {
      deadline.watch(() -> requireWell(source.failure()));
      source.start(SOURCE_ADDRESS, PORT, "host1", deadline);
      // Not before: whoever comes may connect to the source at once.
      try (Rendezvous.Host host = Rendezvous.listen(SOURCE_ADDRESS);
          Rendezvous meeting = host.accept(deadline)) {
        System.out.println("the destination is there");
        source.awaitAnswers(ANSWERS_BEFORE_LATE_POISON, deadline, () -> {});
        source.reportLatePoison();
        source.stream();
        int code = source.await(deadline);
        System.out.println("the source ended with exit code " + code);
        meeting.send(SourceAccount.of(source, code));
      } catch (IOException e) {
        System.out.println(source.errors());
        throw e;
      }
    }
    return 0;
  }

  private static void requireWell(Optional<String> failure) throws IOException {
    if (failure.isPresent()) {
      throw new IOException(failure.get());
    }
  }

  private int destination(
      LoopbackSettings settings, WalkerGuest guest, FileChannel file, Deadline deadline)
      throws IOException {
    try (Rendezvous meeting = Rendezvous.connect(SOURCE_ADDRESS, deadline);
        MigrationDestination destination =
            new MigrationDestination(settings, directory, List.of())) {
      deadline.watch(() -> requireWell(destination.failure()));
      destination.start(SOURCE_ADDRESS + ":" + PORT, "host2");
      try {
        return judged(settings, guest, file, deadline, meeting, destination);
      } catch (IOException e) {
        System.out.println(destination.errors());
        throw e;
      }
    }
  }

  private int judged(
      LoopbackSettings settings,
      WalkerGuest guest,
      FileChannel file,
      Deadline deadline,
      Rendezvous meeting,
      MigrationDestination destination)
      throws IOException {
    JsonNode status = destination.awaitEnd(deadline);
    System.out.println("the guest has ended its walk; comparing");
    SourceAccount account = meeting.receive(SourceAccount.class);
    PageSet lost = account.lostPages();
    MigrationDestination.Evidence evidence =
        destination.examine(status, guest, file, lost, account.writeGuestLog(directory));
    int code = destination.end(deadline);
    LoopbackResult result =
        new LoopbackVerdict(settings, guest, lost, "two machines, one emulated network")
            .result(
                new LoopbackVerdict.Observations(
                    status,
                    evidence.comparison(),
                    evidence.witness(),
                    LedgerJournal.read(account.writeLedger(directory)).ledger(),
                    LedgerJournal.read(destination.ledger()).ledger(),
                    account.late(),
                    account.lateHeld(),
                    account.exitCode(),
                    code,
                    account.injected()));
    System.out.println(result.summary());
    if (!result.passed()) {
      System.out.println(destination.errors());
    }
    if (json != null) {
      new ObjectMapper().writeValue(json.toFile(), result);
    }
    return result.passed() ? 0 : FAILED;
  }
}
