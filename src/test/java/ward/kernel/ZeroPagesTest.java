package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ZeroPagesTest {

  private static final int PAGE = 4096;

  private final NativeMemory memory = NativeMemory.allocate(8 * PAGE);

  @Test
  void oneBitAnywhereMakesAPageData() {
    for (int at = 0; at < PAGE; at += Long.BYTES) {
      assertThat(ZeroPages.isZero(memory.address())).isTrue();

      memory.putLong(at, 1L << at % 64);

      assertThat(ZeroPages.isZero(memory.address())).as("at %d", at).isFalse();
      memory.putLong(at, 0);
    }
  }

  @Test
  void thePageBehindDoesNotCount() {
    memory.putLong(PAGE, 1);

    assertThat(ZeroPages.isZero(memory.address())).isTrue();
  }

  @Test
  void pagesAreCountedUpToTheFirstOfTheOtherKind() {
    memory.putLong(3 * PAGE + 8, 1);
    memory.putLong(4 * PAGE + 4088, 1);

    assertThat(ZeroPages.alike(memory.address(), 8)).isEqualTo(3);
    assertThat(ZeroPages.alike(memory.address(), 2)).isEqualTo(2);
    assertThat(ZeroPages.alike(memory.address() + 3 * PAGE, 5)).isEqualTo(2);
    assertThat(ZeroPages.alike(memory.address() + 5 * PAGE, 3)).isEqualTo(3);
  }
}
