package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Base64;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleTest {

  private final Console console = new Console();

  private void hear(String... lines) {
    for (String line : lines) {
      console.accept(line);
    }
  }

  @Test
  void tellsKernelAndBootTimeOnceTheMachineIsUp() {
    hear("SeaBIOS", "@WARD-UP 3.46 7.2.12+deb13-cloud-amd64");

    assertThat(console.kernel()).hasValue("7.2.12+deb13-cloud-amd64");
    assertThat(console.upSeconds()).isEqualTo(3.46);
    assertThat(console.isOver()).isFalse();
  }

  @Test
  void putsAResultOfSeveralLinesTogether() {
    String json = "{\"passed\":[\"%s\"]}".formatted("a".repeat(100));
    List<String> lines =
        Base64.getMimeEncoder(76, new byte[] {'\n'})
            .encodeToString(json.getBytes(StandardCharsets.UTF_8))
            .lines()
            .toList();

    hear("@WARD-RESULT");
    lines.forEach(console::accept);
    hear("@WARD-END 1");

    assertThat(console.result()).isEqualTo(json);
    assertThat(console.exitCode()).hasValue(1);
    assertThat(console.isOver()).isTrue();
  }

  @Test
  void withoutAResultThereIsStillAnExitCode() {
    hear("@WARD-RESULT", "@WARD-END 0");

    assertThat(console.result()).isEqualTo("{}");
    assertThat(console.exitCode()).hasValue(0);
  }

  @Test
  void aPanicIsTheEnd() {
    hear("[    1.2] Kernel panic - not syncing: Attempted to kill init!");

    assertThat(console.isOver()).isTrue();
    assertThat(console.panic()).get().asString().contains("Attempted to kill init!");
    assertThat(console.exitCode()).isEmpty();
  }

  @Test
  void theTailIsTheLastLinesWithoutTheResult() {
    for (int i = 0; i < 100; i++) {
      hear("line " + i);
    }
    hear("@WARD-RESULT", "bnVsbA==", "@WARD-END 0");

    assertThat(console.tail()).startsWith("line 40").doesNotContain("bnVsbA==");
  }
}
