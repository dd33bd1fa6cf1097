package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static ward.cli.HostFinding.missing;
import static ward.cli.HostFinding.ok;
import static ward.cli.HostFinding.warning;

import java.util.List;
import org.junit.jupiter.api.Test;
import ward.cli.HostFinding.Status;

class HostReportTest {

  @Test
  void aHostWithWarningsOnlyCanBeEverything() {
    HostReport report = new HostReport(List.of(ok("a", "fine"), warning("b", "so so", "mend it")));

    assertThat(report.verdicts())
        .containsExactly(
            "source: yes", "destination with KVM: yes", "destination with threads only: yes");
    assertThat(report.exitCode()).isEqualTo(ExitCode.OK);
  }

  @Test
  void aHostWithoutKvmIsStillAllRight() {
    HostReport report = new HostReport(List.of(missing("/dev/kvm", "no", "get it", HostRole.KVM)));

    assertThat(report.findings().get(0).status()).isEqualTo(Status.WARNING);
    assertThat(report.verdicts())
        .containsExactly(
            "source: yes",
            "destination with KVM: no, for want of /dev/kvm",
            "destination with threads only: yes");
    assertThat(report.exitCode()).isEqualTo(ExitCode.OK);
  }

  @Test
  void aHostThatCannotBeADestinationRunsNoGuestsEither() {
    HostReport report =
        new HostReport(List.of(missing("poison", "no", "Linux 6.6", HostRole.DESTINATION)));

    assertThat(report.findings().get(0).status()).isEqualTo(Status.MISSING);
    assertThat(report.shown().source()).isTrue();
    assertThat(report.shown().destination()).isFalse();
    assertThat(report.shown().kvm()).isFalse();
    assertThat(report.exitCode()).isEqualTo(ExitCode.HOST_REFUSED);
  }

  @Test
  void aHostThatCannotBeASourceIsRefused() {
    HostReport report = new HostReport(List.of(missing("copy", "no", "allow", HostRole.SOURCE)));

    assertThat(report.canBeDestination()).isTrue();
    assertThat(report.exitCode()).isEqualTo(ExitCode.HOST_REFUSED);
  }

  @Test
  void aFindingIsOneLineWithItsRemedy() {
    assertThat(ok("kernel", "6.18").line(8)).isEqualTo("ok       kernel    6.18");
    assertThat(missing("poison", "a\nb", "Linux 6.6", HostRole.SOURCE).line(8))
        .isEqualTo("missing  poison    a b  -> Linux 6.6");
  }
}
