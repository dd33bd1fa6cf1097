package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class BenchHugePagesTest {

  @TempDir private Path pool;

  /** A kernel that never sets any more aside. */
  @BeforeEach
  void threeOfFiveAreFree() throws IOException {
    Files.writeString(pool.resolve("nr_hugepages"), "5\n");
    Files.writeString(pool.resolve("free_hugepages"), "3\n");
  }

  private String reserved() throws IOException {
    return Files.readString(pool.resolve("nr_hugepages")).strip();
  }

  @Test
  void whatIsFreeIsTakenAsItIs() throws IOException {
    try (BenchHugePages pages = BenchHugePages.reserve(pool, 3)) {
      assertThat(pages.shortage()).isEmpty();
      assertThat(reserved()).isEqualTo("5");
    }
    assertThat(reserved()).isEqualTo("5");
  }

  @Test
  void aHostThatHasTooFewSaysHowManyAndKeepsWhatItHad() throws IOException {
    try (BenchHugePages pages = BenchHugePages.reserve(pool, 4)) {
      assertThat(pages.shortage())
          .contains("it takes 4 huge pages of 2 MiB, and this host can set aside 3");
      assertThat(reserved()).isEqualTo("5");
    }
  }

  @Test
  void whatOthersSetAsideMeanwhileStays() throws IOException {
    Files.writeString(pool.resolve("free_hugepages"), "0");
    BenchHugePages pages = BenchHugePages.reserve(pool, 2);
    Files.writeString(pool.resolve("nr_hugepages"), "17");

    pages.close();

    assertThat(reserved()).isEqualTo("17");
  }

  @Test
  void aKernelWithoutHugePagesIsNamed() throws IOException {
    Path none = pool.resolve("none");
    try (BenchHugePages pages = BenchHugePages.reserve(none, 1)) {
      assertThat(pages.shortage())
          .contains("this kernel has no huge pages of 2 MiB (%s)".formatted(none));
    }
  }

  @Test
  void aCaseThatNeedsNoneAsksForNone() throws IOException {
    try (BenchHugePages pages = BenchHugePages.reserve(pool.resolve("none"), 0)) {
      assertThat(pages.shortage()).isEmpty();
    }
  }
}
