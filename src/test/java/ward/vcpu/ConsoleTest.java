package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.OutputStream;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class ConsoleTest {

  /** Written bytes as characters, {@code |} for a flush. */
  private static final class Recorded extends OutputStream {

    private final StringBuilder text = new StringBuilder();

    @Override
    public void write(int character) {
      text.append((char) character);
    }

    @Override
    public void flush() {
      text.append('|');
    }
  }

  @Test
  void eachLineIsFlushed() {
    Recorded output = new Recorded();
    Console console = new Console(output);

    "ab\nc".chars().forEach(console::put);

    assertThat(output.text.toString()).isEqualTo("ab\n|c");
  }

  @Test
  void aGuestGoesOnWhenNobodyCanWriteDownWhatItSays() {
    List<Integer> attempts = new ArrayList<>();
    Console console =
        new Console(
            new OutputStream() {
              @Override
              public void write(int character) throws IOException {
                attempts.add(character);
                throw new IOException("no space left on device");
              }
            });

    console.put('a');
    console.put('b');

    assertThat(attempts).containsExactly((int) 'a');
  }
}
