package ward.source;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.Userfaultfd;

/** A file in memory with two pages of data, at page 3 and page 600, of 2048. */
@RequiresUserfaultfd
class EmptyPagesKernelTest {

  private static final int PAGES = 2048;

  private final NativeKernel kernel = NativeKernel.load();
  private Path file;
  private SourceMemory memory;

  @BeforeEach
  void mapASparseFile() throws IOException {
    file = Files.createTempFile(Path.of("/dev/shm"), "ward-empty-", "");
    try (RandomAccessFile sparse = new RandomAccessFile(file.toFile(), "rw")) {
      sparse.setLength(Pages.bytes(PAGES));
      for (int page : new int[] {3, 600}) {
        sparse.seek(Pages.bytes(page));
        sparse.write(1);
      }
    }
    GuestRegion all = new GuestRegion(0, Pages.bytes(PAGES), 0);
    GuestLayout layout = new GuestLayout("sparse", List.of(all));
    memory = SourceMemory.map(kernel, file, layout, SourceMemory.Access.MARK);
  }

  @AfterEach
  void end() throws IOException {
    memory.close();
    Files.delete(file);
  }

  private long storedPages() throws IOException {
    Process stat = new ProcessBuilder("stat", "-c", "%b", file.toString()).start();
    return Long.parseLong(new String(stat.getInputStream().readAllBytes()).strip()) * 512
        >>> Pages.SHIFT;
  }

  @Test
  void pagesThatWereNeverWrittenAreEmptyUpToTheNextThatWas() {
    assertThat(memory.emptyPages(0, PAGES)).isEqualTo(3);
    assertThat(memory.emptyPages(3, PAGES - 3)).isZero();
    assertThat(memory.filledPages(3, PAGES - 3)).isEqualTo(1);
    assertThat(memory.emptyPages(4, 8)).isEqualTo(8);
    assertThat(memory.emptyPages(590, PAGES - 590)).isEqualTo(10);
    assertThat(memory.emptyPages(601, 300)).isEqualTo(300);
  }

  @Test
  void whoReadsOnlyWhatIsNotEmptyLeavesTheFileAsSmallAsItIs() throws IOException {
    PageReader reader = new PageReader(kernel, memory);
    long buffer = kernel.mapAnonymous(2 << 20);
    long read = 0;

    for (long page = 0; page < PAGES; ) {
      long empty = reader.emptyPages(page, PAGES - page);
      long filled = empty > 0 ? 0 : reader.filledPages(page, PAGES - page);
      read += filled == 0 ? 0 : reader.read(page, filled, buffer).readablePages();
      page += empty + filled;
    }

    assertThat(read).isEqualTo(2);
    assertThat(storedPages()).isEqualTo(2);
    kernel.unmap(buffer, 2 << 20);
  }

  @Test
  void aHoleWithAMarkerIsNotEmpty() throws IOException {
    long address = memory.memory().hostAddressOf(100);
    try (Userfaultfd userfaultfd = Userfaultfd.open(kernel)) {
      userfaultfd.register(memory.memory().hostAddressOf(0), Pages.bytes(PAGES));
      userfaultfd.poison(address, Pages.SIZE_BYTES);
      userfaultfd.unregister(memory.memory().hostAddressOf(0), Pages.bytes(PAGES));
    }

    assertThat(memory.emptyPages(4, PAGES - 4)).isEqualTo(96);
    assertThat(memory.emptyPages(100, 10)).isZero();
    assertThat(new PageReader(kernel, memory).read(100, memory.filledPages(100, 10), address(0)))
        .extracting(PageReader.Result::stop)
        .isEqualTo(PageReader.Stop.LOST);
    assertThat(kernel.advise(address, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ)).isNegative();
  }

  private long address(int page) throws IOException {
    return kernel.mapAnonymous(Pages.SIZE_BYTES) + page;
  }
}
