package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Arrays;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

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

  @ParameterizedTest
  @ValueSource(longs = {0b1, 0b1000_0000, 0b0101_0101, 0b1010_1010, 0b1111_0000, 0b0111_1110})
  void pagesThatArePackedAreUnpackedToWhereTheyWere(long data) {
    NativeMemory bits = NativeMemory.allocate(2 * Long.BYTES);
    for (int page = 0; page < 8; page++) {
      memory.putLong(page * PAGE + 8 * page, (data >> page & 1) * (page + 1));
    }
    byte[] before = memory.getBytes(0, 8 * PAGE);

    long packed = ZeroPages.pack(memory.address(), 8, bits.address(), 0);
    byte[] first = memory.getBytes(0, PAGE);
    ZeroPages.unpack(memory.address(), 8, bits.address());

    assertThat(packed).isEqualTo(Long.bitCount(data));
    assertThat(bits.getLong(0)).isEqualTo(data);
    int of = Long.numberOfTrailingZeros(data);
    assertThat(first).isEqualTo(Arrays.copyOfRange(before, of * PAGE, (of + 1) * PAGE));
    assertThat(memory.getBytes(0, 8 * PAGE)).isEqualTo(before);
  }

  @Test
  void whatIsPackedLaterHasItsBitsBehindTheOthers() {
    NativeMemory bits = NativeMemory.allocate(2 * Long.BYTES);
    bits.putLong(0, 1);
    memory.putLong(0, 5);
    memory.putLong(3 * PAGE, 7);

    assertThat(ZeroPages.pack(memory.address(), 8, bits.address(), 61)).isEqualTo(2);

    assertThat(bits.getLong(0)).isEqualTo(1 | 1L << 61);
    assertThat(bits.getLong(8)).isEqualTo(1);
    assertThat(memory.getLong(PAGE)).isEqualTo(7);
  }
}
