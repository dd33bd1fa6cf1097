package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.Guest;
import ward.kernel.Kernel;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.source.SourceMemory;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports;
import ward.testing.RequiresKvm;

/** A real guest that leaves one VM in the middle of its work and goes on in another. */
@RequiresKvm
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class MovedGuestKvmTest {

  private static final long MIB = 1 << 20;

  /** arm64 is tested under emulation, where a walk takes long. */
  private static final long RUN_MILLIS =
      System.getProperty("os.arch").equals("aarch64") ? 1000 : 20;

  @TempDir private Path directory;

  private final Kernel kernel = NativeKernel.load();
  private final RecordedErrors errors = new RecordedErrors();
  private final WalkerReports reports = new WalkerReports();
  private final KvmGuestFactory factory = new KvmGuestFactory(kernel, errors, reports);

  @Test
  void aGuestGoesOnInAnotherVmWhereItWasStopped() throws Exception {
    Path file = directory.resolve("memory");
    try (FileChannel channel =
        FileChannel.open(
            file, StandardOpenOption.CREATE, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      WalkerGuest walker = new WalkerGuestBuilder(64 * MIB, 2, 3).writeTo(channel);
      try (SourceMemory memory =
          SourceMemory.map(kernel, file, walker.layout(), SourceMemory.Access.RUN)) {
        byte[] state = walker.vcpuStates();
        int stops = 0;
        boolean ended = false;
        while (!ended) {
          try (Guest guest = factory.createOver(memory.memory(), state)) {
            guest.resume();
            Thread.sleep(RUN_MILLIS);
            guest.pause();
            ended = guest.exited().toCompletableFuture().isDone();
            if (!ended) {
              state = guest.save();
              stops++;
            }
          }
        }

        assertThat(stops).isGreaterThan(1);
        assertThat(reports.unexpected()).isEmpty();
        assertThat(reports.passes())
            .hasSize(4)
            .allSatisfy(
                pass ->
                    assertThat(pass.sum())
                        .isEqualTo(walker.expectedSum(channel, pass.vcpu(), new PageSet())));
      }
    }
  }
}
