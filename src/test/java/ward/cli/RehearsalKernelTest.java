package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import ch.qos.logback.classic.Level;
import ch.qos.logback.classic.Logger;
import java.nio.file.Path;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
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

  @TempDir Path under;

  private static Level logged() {
    return ((Logger) LoggerFactory.getLogger(org.slf4j.Logger.ROOT_LOGGER_NAME)).getLevel();
  }

  @Test
  void aScratchGuestArrivesAndLeavesNothingBehind() throws Exception {
    Level level = logged();

    String outcome = Rehearsal.of(PAGES, NativeKernel.load(), under);

    assertThat(outcome).isEqualTo("the guest is here; the source has let go");
    assertThat(under).isEmptyDirectory();
    assertThat(logged()).isEqualTo(level);
  }

  @Test
  void whatThisHostLacksIsSaidAndNothingElseComesOfIt() throws Exception {

    String outcome =
        Rehearsal.of(
            PAGES,
            new RefusingKernel() {
              @Override
              public Fd createMemfd(String name, long lengthBytes) throws KernelCallException {
                throw new KernelCallException("memfd_create", name, Errno.EMFILE.intValue());
              }
            },
            under);

    assertThat(outcome).startsWith("it did not come to its end: ").contains("EMFILE");
    assertThat(under).isEmptyDirectory();
  }
}
