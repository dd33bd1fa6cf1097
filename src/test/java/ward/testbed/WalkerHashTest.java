package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.util.SplittableRandom;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;

class WalkerHashTest {

  private static final long ADDRESS = 0x100003000L;

  /** A whole number of pages of noise, aligned as the C code's words are. */
  private static ByteBuffer noise(long seed) {
    ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES).alignedSlice(Long.BYTES);
    SplittableRandom random = new SplittableRandom(seed);
    while (page.hasRemaining()) {
      page.putLong(random.nextLong());
    }
    return page.flip();
  }

  private static long folded(ByteBuffer page, long address) {
    NativeMemory hash = NativeMemory.allocate(Long.BYTES);
    hash.putLong(0, address);
    int result =
        NativeKernel.load()
            .fold(NativeMemory.of(page).address(), Pages.SIZE_BYTES, hash, new SignalInfo());
    Reference.reachabilityFence(page);
    assertThat(result).isZero();
    return hash.getLong(0);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 1, 42, -1})
  void javaAndCAgreeOnAPageOfNoise(long seed) {
    ByteBuffer page = noise(seed);

    assertThat(WalkerHash.of(page, ADDRESS)).isEqualTo(folded(page, ADDRESS));
  }

  @Test
  void javaAndCAgreeOnAPageOfZerosAtAddressZero() {
    ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES).alignedSlice(Long.BYTES);

    assertThat(WalkerHash.of(page, 0)).isEqualTo(folded(page, 0));
  }

  @Test
  void twoPagesThatChangedPlacesAreNoticed() {
    ByteBuffer page = noise(7);

    assertThat(WalkerHash.of(page, ADDRESS)).isNotEqualTo(WalkerHash.of(page, ADDRESS + 0x1000));
  }

  @Test
  void everySingleByteCounts() {
    ByteBuffer page = noise(7);
    long whole = WalkerHash.of(page, ADDRESS);

    for (int i = 0; i < Pages.SIZE_BYTES; i++) {
      page.put(i, (byte) (page.get(i) ^ 1));
      assertThat(WalkerHash.of(page, ADDRESS)).as("byte %d", i).isNotEqualTo(whole);
      page.put(i, (byte) (page.get(i) ^ 1));
    }
  }

  @Test
  void thePositionOfTheBufferStays() {
    ByteBuffer two = ByteBuffer.allocate(2 * Pages.SIZE_BYTES);
    two.put(Pages.SIZE_BYTES, noise(9), 0, Pages.SIZE_BYTES).position(Pages.SIZE_BYTES);

    long hash = WalkerHash.of(two, ADDRESS);

    assertThat(hash).isEqualTo(WalkerHash.of(noise(9), ADDRESS));
    assertThat(two.position()).isEqualTo(Pages.SIZE_BYTES);
  }
}
