package ward.testbed;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledIfEnvironmentVariable;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.testbed.linux.LinuxTranscript.Course;

/**
 * A Linux guest loses a page, moves, and goes on without the one process that needed it. In the
 * labs: {@code testbed/lab arm64 --memory 2560 --test LinuxGuestScenario}.
 */
@EnabledIfEnvironmentVariable(named = "WARD_LAB", matches = "x86_64|aarch64")
@Timeout(value = 15, unit = TimeUnit.MINUTES)
class LinuxGuestScenario {

  private static final long MEMORY_BYTES = 128 << 20;

  @ParameterizedTest
  @EnumSource(LinuxMigration.Loss.class)
  void onlyTheProcessThatTouchesTheLostPageDies(LinuxMigration.Loss loss) throws IOException {
    move(loss, Course.CONSUMED);
  }

  /** Where the host's memory breaks, the guest is warned there already. */
  @ParameterizedTest
  @EnumSource(LinuxMigration.Loss.class)
  void aGuestThatIsWarnedTakesThePageOutOfUseBeforeAnythingTouchesIt(LinuxMigration.Loss loss)
      throws IOException {
    move(loss, Course.WARNED);
  }

  /** Of an SError that says nothing else: {@code do_serror} in arch/arm64/kernel/traps.c. */
  @Test
  @EnabledIfEnvironmentVariable(
      named = "WARD_LAB",
      matches = "aarch64",
      disabledReason = "x86's processors know no SError")
  void anArm64KernelThatIsToldByAnSErrorPanics() throws IOException {
    LinuxMigration.Settings settings = settings(LinuxMigration.Loss.REPORTED, Course.CONSUMED);

    try (LinuxMigration migration = new LinuxMigration(settings, System.out::println)) {
      List<String> lines =
          migration.tellBySError("Kernel panic - not syncing: Asynchronous SError Interrupt");

      assertTrue(
          lines.stream().anyMatch(line -> line.contains("SError Interrupt on CPU0")),
          migration::logs);
    }
  }

  private static void move(LinuxMigration.Loss loss, Course course) throws IOException {
    LinuxMigration.Settings settings = settings(loss, course);

    try (LinuxMigration migration = new LinuxMigration(settings, System.out::println)) {
      LinuxMigration.Result result = migration.run();

      assertEquals(List.of(), result.failures(), migration::logs);
    }
  }

  private static LinuxMigration.Settings settings(LinuxMigration.Loss loss, Course course) {
    Path kernel = Path.of(System.getenv("WARD_GUEST_KERNEL"));
    return new LinuxMigration.Settings(kernel, MEMORY_BYTES, loss, course, Duration.ofMinutes(14));
  }
}
