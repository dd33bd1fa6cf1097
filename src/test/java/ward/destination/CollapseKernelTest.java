package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.concurrent.CompletableFuture;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.guest.MemoryKind;
import ward.kernel.Linux;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;

/** Huge pages that are made afterwards, by this machine's kernel. */
@RequiresUserfaultfd
@Timeout(120)
class CollapseKernelTest {

  private static final int HUGE = 512;
  private static final int PAGES = 4 * HUGE;

  private static TouchedMemory open(MemoryKind kind) throws Exception {
    TouchedMemory memory = new TouchedMemory(PAGES, kind);
    memory.loop.start();
    return memory;
  }

  private static CollapseReport collapse(TouchedMemory memory) throws Exception {
    return new Collapse(
            memory.fixture.memory,
            memory.fixture.table,
            memory.fixture.givenBack,
            memory.scan(),
            memory.watcher)
        .run(() -> true);
  }

  /** KiB of huge pages that are mapped as such where this address is. */
  private static long hugeKib(long address) throws IOException {
    return smapsKib(address, "(AnonHugePages|ShmemPmdMapped)");
  }

  /** What proc_pid_smaps(5) says of the mapping that an address is in. */
  static long smapsKib(long address, String field) throws IOException {
    boolean inside = false;
    long found = 0;
    for (String line : Files.readAllLines(Path.of("/proc/self/smaps"))) {
      if (line.matches("[0-9a-f]+-[0-9a-f]+ .*")) {
        String[] range = line.substring(0, line.indexOf(' ')).split("-");
        inside =
            Long.parseUnsignedLong(range[0], 16) <= address
                && address < Long.parseUnsignedLong(range[1], 16);
      } else if (inside && line.matches(field + ":.*")) {
        found += Long.parseLong(line.replaceAll("\\D", ""));
      }
    }
    return found;
  }

  @ParameterizedTest
  @EnumSource(names = {"ANONYMOUS", "MEMFD"})
  void smallPagesBecomeHugeOnesAndKeepTheirBytes(MemoryKind kind) throws Exception {
    try (TouchedMemory memory = open(kind)) {
      memory.data(0, PAGES);
      long before = hugeKib(memory.base);

      CollapseReport report = collapse(memory);

      assertThat(before).isZero();
      assertThat(report.hugePages()).isPositive();
      assertThat(report.refused()).isZero();
      assertThat(hugeKib(memory.base)).isEqualTo(report.hugePages() * 2048);
      for (int page = 0; page < PAGES; page++) {
        assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
      }
    }
  }

  @Test
  void zeroPagesBecomePartOfAHugePageWhereMostOfItHasContent() throws Exception {
    try (TouchedMemory memory = open(MemoryKind.ANONYMOUS)) {
      long first = (-memory.base & (Pages.bytes(HUGE) - 1)) >>> Pages.SHIFT;
      memory.fixture.resolver.zero(new PageRun(first, 100));
      memory.data(first + 100, HUGE - 100);
      memory.fixture.resolver.zero(new PageRun(first + HUGE, 300));
      memory.data(first + HUGE + 300, HUGE - 300);
      memory.data(0, PAGES);

      CollapseReport report = collapse(memory);

      assertThat(report.refused()).as("mostly zeros").isEqualTo(1);
      assertThat(hugeKib(memory.base)).isEqualTo(report.hugePages() * 2048).isPositive();
      assertThat(memory.holdsZeros(first + 99)).isTrue();
      assertThat(memory.holdsItsBytes(first + 100)).isTrue();
      assertThat(memory.holdsZeros(first + HUGE + 299)).isTrue();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"ANONYMOUS", "MEMFD"})
  void aRangeWithALostPageIsLeftOutAndItsMarkerStays(MemoryKind kind) throws Exception {
    try (TouchedMemory memory = open(kind)) {
      memory.poison(700);
      memory.data(0, PAGES);

      CollapseReport report = collapse(memory);

      assertThat(report.leftOut()).isPositive();
      assertThat(report.refused()).isZero();
      assertThat(memory.isPoisoned(700)).isTrue();
      assertThat(memory.audit.run().agrees()).isTrue();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"ANONYMOUS", "MEMFD"})
  void aRangeWithAPageGivenBackIsLeftOut(MemoryKind kind) throws Exception {
    try (TouchedMemory memory = open(kind)) {
      memory.data(0, PAGES);
      assertThat(TouchedMemory.await(memory.discard(700, 1))).isZero();

      CollapseReport report = collapse(memory);

      assertThat(report.leftOut()).isPositive();
      assertThat(TouchedMemory.await(memory.touch(700))).isZero();
    }
  }

  @ParameterizedTest
  @EnumSource(names = {"ANONYMOUS", "MEMFD"})
  void theKernelItselfMakesNoHugePageOfARangeWithAMarkerOrAMissingPage(MemoryKind kind)
      throws Exception {
    try (TouchedMemory memory = open(kind)) {
      long boundary = (-memory.base & (Pages.bytes(HUGE) - 1)) >>> Pages.SHIFT;
      memory.poison(boundary + 7);
      memory.data(boundary, HUGE); // the next range has one page
      memory.data(boundary + HUGE, 1);

      int marked = advise(memory, boundary);
      int missing = advise(memory, boundary + HUGE);

      assertThat(marked).isNegative();
      assertThat(missing).isNegative();
      assertThat(memory.isPoisoned(boundary + 7)).isTrue();
      CompletableFuture<Integer> waiting = memory.touch(boundary + HUGE + 1);
      TouchedMemory.awaitThat(() -> memory.fixture.requests.size() == 1, "a request");
      memory.data(boundary + HUGE, HUGE);
      assertThat(TouchedMemory.await(waiting)).isZero();
    }
  }

  private static int advise(TouchedMemory memory, long page) {
    return memory.kernel.advise(
        memory.base + Pages.bytes(page), Pages.bytes(HUGE), Linux.MADV_COLLAPSE);
  }

  @Test
  void aGuestThatTouchesItsMemoryMeanwhileFindsItsBytes() throws Exception {
    try (TouchedMemory memory = open(MemoryKind.MEMFD)) {
      memory.fixture.resolver.data(new PageRun(0, PAGES), memory.sourceOf(0));
      CompletableFuture<Integer> touching =
          TouchedMemory.start(
              () -> {
                int worst = 0;
                for (int round = 0; round < 20; round++) {
                  for (long page = 0; page < PAGES; page += 7) {
                    worst = Math.min(worst, memory.touchNow(page));
                  }
                }
                return worst;
              });

      CollapseReport report = collapse(memory);

      assertThat(TouchedMemory.await(touching)).isZero();
      assertThat(report.hugePages() + report.refused()).isPositive();
      for (int page = 0; page < PAGES; page++) {
        assertThat(memory.holdsItsBytes(page)).as("page %d", page).isTrue();
      }
    }
  }
}
