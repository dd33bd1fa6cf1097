package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.stream.Stream;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.slf4j.LoggerFactory;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.NativeKernel;
import ward.testing.RefusingKernel;
import ward.testing.RequiresUserfaultfd;

@RequiresUserfaultfd
@Timeout(60)
class RehearsalKernelTest {

  private static final int PAGES = 2048;

  private static List<Path> leftOver() throws IOException {
    try (Stream<Path> files = Files.list(Path.of(System.getProperty("java.io.tmpdir")))) {
      return files
          .filter(file -> file.getFileName().toString().startsWith("ward-rehearsal"))
          .toList();
    }
  }

  private static Level logged() {
    return ((Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME)).getLevel();
  }

  @Test
  void aScratchGuestArrivesAndLeavesNothingBehind() throws Exception {
    List<Path> before = leftOver();
    Level level = logged();

    String outcome = Rehearsal.of(PAGES, NativeKernel.load());

    assertThat(outcome).isEqualTo("the guest is here; the source has let go");
    assertThat(leftOver()).isEqualTo(before);
    assertThat(logged()).isEqualTo(level);
  }

  @Test
  void whatThisHostLacksIsSaidAndNothingElseComesOfIt() throws Exception {
    List<Path> before = leftOver();

    String outcome =
        Rehearsal.of(
            PAGES,
            new RefusingKernel() {
              @Override
              public Fd createMemfd(String name, long lengthBytes) throws KernelCallException {
                throw new KernelCallException("memfd_create", name, Errno.EMFILE.intValue());
              }
            });

    assertThat(outcome).startsWith("it did not come to its end: ").contains("EMFILE");
    assertThat(leftOver()).isEqualTo(before);
  }
}
