package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
import java.util.List;
import org.junit.jupiter.api.Test;
import picocli.CommandLine;
import picocli.CommandLine.ParameterException;

class LabTest {

  private static LabSettings settings(String... arguments) {
    Lab lab = new Lab();
    Lab.commandLine(lab).parseArgs(arguments);
    return lab.settings();
  }

  @Test
  void eachMachineHasAProcessorOfItsOwnUnlessOneIsNamed() {
    assertThat(settings("x86", "--run", "M").cpu()).isEqualTo("EPYC-v1,-cx16");
    assertThat(settings("arm64", "--run", "M").cpu()).isEqualTo("neoverse-n1");
    assertThat(settings("arm64", "--run", "M", "--cpu", "cortex-a72").cpu())
        .isEqualTo("cortex-a72");
  }

  @Test
  void theHelpNamesTheProcessorWithoutRas() {
    assertThat(new CommandLine(new Lab()).getUsageMessage())
        .contains("--cpu=MODEL")
        .contains("cortex-a72");
  }

  @Test
  void whatFollowsTwoDashesIsForTheProgram() {
    LabSettings settings = settings("arm64", "--run", "M", "--deadline", "5", "--", "--cpu", "x");

    assertThat(settings.steps()).hasSize(1);
    assertThat(settings.steps().get(0).main()).isEqualTo("M");
    assertThat(settings.steps().get(0).arguments()).containsExactly("--cpu", "x");
    assertThat(settings.deadline()).isEqualTo(Duration.ofSeconds(5));
  }

  @Test
  void withNothingAskedForEachMachineRunsTheTestsAndAMigration() {
    for (String machine : List.of("x86", "arm64")) {
      List<LabSettings.Step> steps = settings(machine).steps();

      assertThat(steps).hasSize(2);
      assertThat(steps.get(0).arguments()).contains("ward.vcpu.Arm64GuestKvmTest");
      assertThat(steps.get(1).main()).isEqualTo("ward.testbed.Loopback");
    }
  }

  @Test
  void threeHostsAreTooMany() {
    assertThatThrownBy(() -> settings("x86", "--hosts", "3"))
        .isInstanceOf(ParameterException.class)
        .hasMessage("--hosts 3: there may be 1 or 2");
  }
}
