package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.time.Duration;
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
  void threeHostsAreTooMany() {
    assertThatThrownBy(() -> settings("x86", "--hosts", "3"))
        .isInstanceOf(ParameterException.class)
        .hasMessage("--hosts 3: there may be 1 or 2");
  }
}
