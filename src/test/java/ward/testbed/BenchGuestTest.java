package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.HashSet;
import java.util.OptionalInt;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.Pages;

class BenchGuestTest {

  @TempDir private Path directory;

  private static BenchCase of(int zeroPercent, int lost, boolean clustered) {
    return new BenchCase(
        "x",
        "?",
        BenchCase.Toucher.THREADS,
        1,
        false,
        OptionalInt.empty(),
        2048,
        zeroPercent,
        lost,
        clustered);
  }

  @ParameterizedTest
  @ValueSource(ints = {0, 50, 100})
  void asManyPagesAreZeroAsAskedForAndNoTwoOthersAreAlike(int zeroPercent) throws Exception {
    BenchGuest guest = new BenchGuest(of(zeroPercent, 0, false), 7);
    Path file = directory.resolve("memory");

    guest.writeTo(file);

    ByteBuffer memory = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.nativeOrder());
    assertThat(memory.capacity()).isEqualTo(2048 * Pages.SIZE_BYTES);
    Set<Long> words = new HashSet<>();
    int zero = 0;
    for (int page = 0; page < 2048; page++) {
      long first = memory.getLong(page * Pages.SIZE_BYTES);
      assertThat(first).isEqualTo(guest.firstWord(page));
      boolean isZero = isZeroPage(memory, page);
      zero += isZero ? 1 : 0;
      if (!isZero) {
        words.add(first);
      }
    }
    assertThat(zero).isEqualTo(2048 * zeroPercent / 100);
    assertThat(words).hasSize(2048 - zero);
  }

  private static boolean isZeroPage(ByteBuffer memory, int page) {
    return IntStream.range(0, Pages.SIZE_BYTES / Long.BYTES)
        .allMatch(i -> memory.getLong(page * Pages.SIZE_BYTES + i * Long.BYTES) == 0);
  }

  @ParameterizedTest
  @ValueSource(booleans = {true, false})
  void asManyPagesAreLostAsAskedFor(boolean clustered) {
    BenchGuest guest = new BenchGuest(of(0, 1600, clustered), 7);

    assertThat(guest.lost().size()).isEqualTo(1600);
  }

  @Test
  void theOrderHasEveryPageOnceAndIsTheSeeds() {
    int[] order = new BenchGuest(of(0, 0, false), 7).order();

    assertThat(Arrays.stream(order).sorted().boxed())
        .containsExactlyElementsOf(IntStream.range(0, 2048).boxed().toList());
    assertThat(order).isEqualTo(new BenchGuest(of(0, 0, false), 7).order());
    assertThat(order).isNotEqualTo(new BenchGuest(of(0, 0, false), 8).order());
  }
}
