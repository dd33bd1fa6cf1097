package ward.testbed;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.SerializationFeature;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import ward.testbed.linux.LinuxTranscript.Course;

/** Runs {@link LinuxMigration} and shows the guest's console: {@code testbed/lab --run}. */
@Command(
    name = "move-linux",
    mixinStandardHelpOptions = true,
    description =
        "Boots a Linux guest at a source, takes a page from it, moves it, and lets one of its"
            + " programs touch that page.")
final class MoveLinux implements Callable<Integer> {

  @Option(
      names = "--kernel",
      paramLabel = "FILE",
      defaultValue = "${env:WARD_GUEST_KERNEL}",
      description =
          "The guest's kernel, a bzImage or an arm64 Image (default: $$WARD_GUEST_KERNEL).")
  Path kernel;

  @Option(names = "--memory", paramLabel = "SIZE", defaultValue = "128M")
  MemorySize memory;

  @Option(
      names = "--loss",
      paramLabel = "hwpoison|reported|hwpoison_at_destination",
      defaultValue = "hwpoison")
  LinuxMigration.Loss loss;

  @Option(
      names = "--announce-poison",
      description = "The destination warns the guest's kernel before anything touches the page.")
  boolean announcePoison;

  @Option(names = "--timeout", paramLabel = "SECONDS", defaultValue = "1000")
  long timeoutSeconds;

  public static void main(String[] arguments) {
    CommandLine command = new CommandLine(new MoveLinux());
    command.registerConverter(MemorySize.class, MemorySize::parse);
    command.setCaseInsensitiveEnumValuesAllowed(true);
    System.exit(command.execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    LinuxMigration.Settings settings =
        new LinuxMigration.Settings(
            kernel,
            memory.bytes(),
            loss,
            announcePoison ? Course.WARNED : Course.CONSUMED,
            Duration.ofSeconds(timeoutSeconds));
    try (LinuxMigration migration = new LinuxMigration(settings, System.out::println)) {
      LinuxMigration.Result result;
      try {
        result = migration.run();
      } catch (IOException e) {
        System.out.println("move-linux: " + e.getMessage());
        System.out.println(migration.logs());
        return 1;
      }
      System.out.println(migration.logs());
      result.failures().forEach(failure -> System.out.println("FAILURE " + failure));
      keep(result);
      return result.failures().isEmpty() ? 0 : 1;
    }
  }

  /** Where the lab takes it from. */
  private static void keep(LinuxMigration.Result result) throws IOException {
    String file = System.getenv("WARD_RESULT");
    if (file != null) {
      Files.writeString(
          Path.of(file),
          new ObjectMapper().enable(SerializationFeature.INDENT_OUTPUT).writeValueAsString(result));
    }
  }
}
