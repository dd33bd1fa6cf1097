package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatExceptionOfType;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import java.io.EOFException;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.kernel.Linux;
import ward.memory.Pages;
import ward.uffd.MarkerScan.Real;

/** On a pagemap in an ordinary file, as an unprivileged process sees it. */
class MarkerScanTest {

  private static final long START = 2 * Pages.SIZE_BYTES;

  @TempDir Path directory;

  private final FakeKernel kernel = new FakeKernel();
  private final List<String> seen = new ArrayList<>();

  @Test
  void asksTheKernelAboutEverySwappedPageAndNoOther() throws Exception {
    kernel.populateReadAnswer = -Errno.EHWPOISON.intValue();

    scan(START, 3, 0, 0, MarkerScan.PRESENT, MarkerScan.SWAPPED, 0);

    assertThat(seen).containsExactly("100 MAPPED", "101 POISONED", "102 EMPTY");
    assertThat(kernel.calls).containsExactly("madvise 0x3000 4096 " + Linux.MADV_POPULATE_READ);
  }

  @Test
  void takesAPageThatComesBackFromSwapAsMapped() throws Exception {
    kernel.populateReadAnswer = 0;

    scan(START, 1, 0, 0, MarkerScan.SWAPPED);

    assertThat(seen).containsExactly("100 MAPPED");
  }

  @Test
  void numbersPagesAcrossReads() throws Exception {
    long[] entries = new long[20_000];
    entries[8192] = MarkerScan.PRESENT;
    entries[19_999] = MarkerScan.PRESENT;

    scan(0, entries.length, entries);

    assertThat(seen).hasSize(entries.length).contains("8292 MAPPED", "20099 MAPPED");
    assertThat(seen.stream().filter(line -> line.endsWith("EMPTY"))).hasSize(entries.length - 2);
    assertThat(seen).startsWith("100 EMPTY", "101 EMPTY");
  }

  @Test
  void visitsNothingInAnEmptyRange() throws Exception {
    scan(START, 0, 0, 0);

    assertThat(seen).isEmpty();
  }

  @Test
  void saysWhereThePageTablesEnd() {
    assertThatExceptionOfType(EOFException.class)
        .isThrownBy(() -> scan(START, 2, 0, 0, MarkerScan.PRESENT))
        .withMessageContaining("ends before the entry of the page at 0x3000");
  }

  @Test
  void refusesAnAddressInsideAPage() {
    assertThatIllegalArgumentException()
        .isThrownBy(() -> scan(START + 1, 1, 0, 0, 0))
        .withMessage("scan from 0x2001; a multiple of 4096 is allowed");
  }

  private void scan(long hostAddress, long pageCount, long... entries) throws IOException {
    ByteBuffer bytes =
        ByteBuffer.allocate(entries.length * Long.BYTES).order(ByteOrder.nativeOrder());
    bytes.asLongBuffer().put(entries);
    Path pagemap = Files.write(directory.resolve("pagemap"), bytes.array());
    MarkerScan scan = new MarkerScan(kernel, new MarkerEntry(), pagemap);
    scan.scan(hostAddress, 100, pageCount, this::note);
  }

  private void note(long page, Real real) {
    seen.add(page + " " + real);
  }
}
