package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.Userfaultfd;

@RequiresUserfaultfd
@Timeout(60)
class MappedAheadKernelTest {

  private static final int PAGE = 4096;
  private static final int PAGES = 1500;
  private static final long LENGTH = (long) PAGES * PAGE;
  private static final int FROM = 600; // pages with data, the others are holes
  private static final int TO = 900;

  private final NativeKernel kernel = NativeKernel.load();

  private interface Check {
    void on(long mapped, long alsoMapped) throws Exception;
  }

  /** A file in memory, mapped twice: pages 600 to 899 were written through the first mapping. */
  private void withFile(Check check) throws Exception {
    try (Fd file = kernel.createMemfd("guest", LENGTH)) {
      int both = Linux.PROT_READ | Linux.PROT_WRITE;
      long first = kernel.mapShared(file, 0, LENGTH, both);
      long second = kernel.mapShared(file, 0, LENGTH, both);
      try {
        NativeMemory data = NativeMemory.allocate(PAGE);
        data.putLong(0, 1);
        for (int page = FROM; page < TO; page++) {
          kernel.copy(first + (long) page * PAGE, data.address(), PAGE);
        }
        check.on(first, second);
      } finally {
        kernel.unmap(first, LENGTH);
        kernel.unmap(second, LENGTH);
      }
    }
  }

  private void mapAhead(long address) throws Exception {
    try (MappedAhead ahead = MappedAhead.begin(kernel, new long[] {address}, new long[] {LENGTH})) {
      ahead.done().get(50, TimeUnit.SECONDS);
    }
  }

  /** What a mapping has in this process's page tables, in pages. */
  private static long mappedPages(long address) throws Exception {
    List<String> lines = Files.readAllLines(Path.of("/proc/self/smaps"));
    String head = Long.toHexString(address) + "-";
    int at = 0;
    while (!lines.get(at).startsWith(head)) {
      at++;
    }
    while (!lines.get(at).startsWith("Rss:")) {
      at++;
    }
    return Long.parseLong(lines.get(at).replaceAll("[^0-9]", "")) * 1024 / PAGE;
  }

  @Test
  void whatIsInMemoryIsMappedAndHolesStayHoles() throws Exception {
    withFile(
        (written, other) -> {
          assertThat(mappedPages(other)).isZero();

          mapAhead(other);

          assertThat(mappedPages(other)).isEqualTo(TO - FROM);
        });
  }

  @Test
  void aLostPageIsPassedOverAndStaysLost() throws Exception {
    withFile(
        (written, other) -> {
          try (Userfaultfd uffd = Userfaultfd.open(kernel)) {
            uffd.register(other, LENGTH);
            uffd.poison(other + 700L * PAGE, PAGE);
            uffd.unregister(other, LENGTH);

            mapAhead(other);

            NativeMemory into = NativeMemory.allocate(3 * PAGE);
            assertThat(kernel.load(into.address(), other + 699L * PAGE, 3 * PAGE)).isEqualTo(PAGE);
            assertThat(mappedPages(other)).isEqualTo(TO - FROM - 1);
          }
        });
  }

  @Test
  void closingStopsIt() throws Exception {
    withFile(
        (written, other) -> {
          MappedAhead ahead = MappedAhead.begin(kernel, new long[] {other}, new long[] {LENGTH});

          ahead.close();

          assertThat(ahead.done()).isDone();
        });
  }
}
