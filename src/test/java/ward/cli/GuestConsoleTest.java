package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GuestConsoleTest {

  @TempDir Path directory;

  @Test
  void withoutFilesThereIsAConsoleThatNobodyHears() {
    try (GuestConsole console = GuestConsole.open(null, null)) {
      assertThat(console.console()).isNotNull();
    }
  }

  @Test
  void anOutputThatIsThereIsKept() throws Exception {
    Path output = Files.writeString(directory.resolve("console"), "before\n");

    GuestConsole.open(output, null).close();

    assertThat(output).hasContent("before\n");
  }

  @Test
  void anOutputThatCannotBeWrittenIsRefused() {
    Path output = directory.resolve("nowhere").resolve("console");

    assertThatThrownBy(() -> GuestConsole.open(output, null))
        .isInstanceOf(CommandFailure.class)
        .hasMessageStartingWith("--console " + output + " cannot be written");
  }

  @Test
  void anInputThatIsNotThereIsRefusedAndNotMade() {
    Path input = directory.resolve("typed");

    assertThatThrownBy(() -> GuestConsole.open(null, input))
        .isInstanceOf(CommandFailure.class)
        .hasMessageStartingWith("--console-input " + input + " cannot be opened");
    assertThat(input).doesNotExist();
  }
}
