package ward.source;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;

import java.util.List;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.FillResult;
import ward.uffd.Userfaultfd;

/** A page that is really lost ends a read, and not this process. */
@RequiresUserfaultfd
@Timeout(30)
class PageReaderKernelTest {

  private static final int PAGES = 8;
  private static final long LENGTH = Pages.bytes(PAGES);

  enum Backing {
    ANONYMOUS,
    SHARED
  }

  private final NativeKernel kernel = NativeKernel.load();
  private final NativeMemory into = NativeMemory.allocate((int) LENGTH);

  private interface Check {
    void on(PageReader reader);
  }

  /** Pages 0 to 7 hold 1 to 8 in their first byte, except one that is lost. */
  private void withLostPage(Backing backing, int lostPage, Check check) throws Exception {
    Fd memfd = backing == Backing.SHARED ? kernel.createMemfd("guest", LENGTH) : null;
    long base =
        memfd == null
            ? kernel.mapAnonymous(LENGTH)
            : kernel.mapShared(memfd, 0, LENGTH, Linux.PROT_READ | Linux.PROT_WRITE);
    try (Userfaultfd uffd = Userfaultfd.open(kernel)) {
      uffd.register(base, LENGTH);
      fill(uffd, base, lostPage);
      GuestLayout layout = new GuestLayout("g", List.of(new GuestRegion(0, LENGTH, 0)));

      check.on(new PageReader(kernel, new GuestMemory(layout, new long[] {base})));
    } finally {
      kernel.unmap(base, LENGTH);
      if (memfd != null) {
        memfd.close();
      }
    }
  }

  private static void fill(Userfaultfd uffd, long base, int lostPage) {
    NativeMemory content = NativeMemory.allocate(Pages.SIZE_BYTES);
    for (int page = 0; page < PAGES; page++) {
      content.putLong(0, page + 1);
      long address = base + Pages.bytes(page);
      FillResult result =
          page == lostPage
              ? uffd.poison(address, Pages.SIZE_BYTES)
              : uffd.copy(address, content.address(), Pages.SIZE_BYTES);
      assertEquals(FillResult.Outcome.COMPLETED, result.outcome());
    }
  }

  @ParameterizedTest
  @EnumSource(Backing.class)
  void aReadStopsAtTheLostPageWithTheExactCount(Backing backing) throws Exception {
    withLostPage(
        backing,
        5,
        reader -> {
          PageReader.Result result = reader.read(0, PAGES, into.address());

          assertEquals(new PageReader.Result(5, PageReader.Stop.LOST, ""), result);
          for (int page = 0; page < 5; page++) {
            assertEquals(page + 1, into.getLong(page * Pages.SIZE_BYTES));
          }
        });
  }

  @ParameterizedTest
  @EnumSource(Backing.class)
  void nothingIsReadOfALostPageHoweverOftenItIsTried(Backing backing) throws Exception {
    withLostPage(
        backing,
        2,
        reader -> {
          for (int i = 0; i < 3; i++) {
            assertEquals(
                new PageReader.Result(0, PageReader.Stop.LOST, ""),
                reader.read(2, 1, into.address()));
          }
          assertArrayEquals(new byte[Pages.SIZE_BYTES], into.getBytes(0, Pages.SIZE_BYTES));
        });
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 7})
  void thePagesBesideALostOneAreWhole(int lostPage) throws Exception {
    withLostPage(
        Backing.SHARED,
        lostPage,
        reader -> {
          int first = lostPage == 0 ? 1 : 0;

          PageReader.Result result = reader.read(first, PAGES - 1, into.address());

          assertEquals(new PageReader.Result(PAGES - 1, PageReader.Stop.NONE, ""), result);
        });
  }
}
