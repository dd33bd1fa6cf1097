package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.nio.file.Path;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class CheckCommandTest {

  @TempDir Path root;

  private final ScriptedKernel kernel = new ScriptedKernel();

  private CommandRun run(String... arguments) {
    return CommandRun.of(new CheckCommand(new HostFiles(root), () -> kernel), arguments);
  }

  @Test
  void endsWithZeroOnAHostThatCanBeSourceAndDestinationWithoutKvm() {
    kernel.refusedOpens.put("/dev/kvm", Errno.ENOENT);

    CommandRun run = run();

    assertThat(run.exitCode()).isZero();
    assertThat(run.lines())
        .contains("source: yes", "destination with KVM: no, for want of /dev/kvm");
  }

  @Test
  void endsWithHostRefusedWhereUserfaultfdIsMissing() {
    kernel.userfaultfdErrno = Errno.ENOSYS;

    CommandRun run = run();

    assertThat(run.exitCode()).isEqualTo(ExitCode.HOST_REFUSED.code());
    assertThat(run.lines())
        .contains(
            "destination with threads only: no, for want of userfaultfd, poison marker, poison round trip");
  }

  @Test
  void saysOnlyThatTheLibraryIsMissingWhereItDoesNotLoad() {
    CheckCommand command =
        new CheckCommand(
            new HostFiles(root),
            () -> {
              throw new ExceptionInInitializerError(new IllegalStateException("no libward.so"));
            });

    CommandRun run = CommandRun.of(command);

    assertThat(run.exitCode()).isEqualTo(ExitCode.HOST_REFUSED.code());
    assertThat(run.lines())
        .anyMatch(line -> line.matches("missing +stub library +no libward.so  -> .*"))
        .contains("source: no, for want of stub library");
  }

  @Test
  void printsJson() throws Exception {
    kernel.refusedOpens.put("/dev/kvm", Errno.ENOENT);

    JsonNode report = new ObjectMapper().readTree(run("--json").out());

    assertThat(report.get("source").asBoolean()).isTrue();
    assertThat(report.get("destination").asBoolean()).isTrue();
    assertThat(report.get("kvm").asBoolean()).isFalse();
    assertThat(report.get("checks").findValuesAsText("name")).contains("kernel", "/dev/kvm");
    assertThat(report.get("checks").get(1).fieldNames())
        .toIterable()
        .containsExactly("name", "status", "finding", "remedy");
  }
}
