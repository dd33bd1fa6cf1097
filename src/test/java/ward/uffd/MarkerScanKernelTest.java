package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static ward.uffd.WatchedMemory.PAGE;
import static ward.uffd.WatchedMemory.await;

import java.io.IOException;
import java.util.HashMap;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.testing.RequiresUserfaultfd;
import ward.uffd.MarkerScan.Real;
import ward.uffd.WatchedMemory.Kind;

@RequiresUserfaultfd
@Timeout(60)
class MarkerScanKernelTest {

  @ParameterizedTest
  @EnumSource
  void tellsPagesFromMarkersFromNothingAndTouchesNone(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.copy(1);
      memory.zero(2);
      memory.uffd.poison(memory.page(4), 3 * PAGE);
      memory.copy(9);
      memory.poison(15);

      Map<Long, Real> found = scan(memory);

      for (int i = 0; i < WatchedMemory.PAGE_COUNT; i++) {
        assertThat(found.get(1000L + i)).as("page %d", i).isEqualTo(expected(i));
      }
      assertThat(memory.uffd.readEvents(new EventBatch(1))).isZero();
    }
  }

  private static Real expected(int page) {
    return switch (page) {
      case 1, 2, 9 -> Real.MAPPED;
      case 4, 5, 6, 15 -> Real.POISONED;
      default -> Real.EMPTY;
    };
  }

  @ParameterizedTest
  @EnumSource
  void seesThatPoisonWasHealedOrForgotten(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.poison(3);
      memory.poison(4);
      memory.poison(5);
      memory.copy(4);
      var discarding = memory.discard(5);
      memory.nextEvent();
      await(discarding);

      Map<Long, Real> found = scan(memory);

      assertThat(found.get(1003L)).isEqualTo(Real.POISONED);
      assertThat(found.get(1004L)).isEqualTo(Real.MAPPED);
      assertThat(found.get(1005L)).isEqualTo(Real.EMPTY);
    }
  }

  /** By the entry alone, as it has to be where the memory is another process's. */
  @ParameterizedTest
  @EnumSource
  void tellsTheSameOfAProcessByItsNumber(Kind kind) throws Exception {
    try (WatchedMemory memory = new WatchedMemory(kind)) {
      memory.copy(1);
      memory.zero(2);
      memory.uffd.poison(memory.page(4), 3 * PAGE);
      memory.copy(9);
      memory.poison(15);
      Map<Long, Real> found = new HashMap<>();

      MarkerScan.ofProcess(memory.kernel, ProcessHandle.current().pid())
          .scan(memory.base, 1000, WatchedMemory.PAGE_COUNT, found::put);

      for (int i = 0; i < WatchedMemory.PAGE_COUNT; i++) {
        assertThat(found.get(1000L + i)).as("page %d", i).isEqualTo(expected(i));
      }
      assertThat(memory.uffd.readEvents(new EventBatch(1))).isZero();
    }
  }

  @Test
  void aProcessThatIsNotThereIsNamed() throws Exception {
    try (WatchedMemory memory = new WatchedMemory(Kind.ANONYMOUS)) {
      var e =
          assertThrows(
              IOException.class, () -> MarkerScan.ofProcess(memory.kernel, Integer.MAX_VALUE));

      assertThat(e)
          .hasMessageContaining("/proc/%d/pagemap", Integer.MAX_VALUE)
          .hasMessageContaining("CAP_SYS_PTRACE");
    }
  }

  private static Map<Long, Real> scan(WatchedMemory memory) throws Exception {
    Map<Long, Real> found = new HashMap<>();
    new MarkerScan(memory.kernel).scan(memory.base, 1000, WatchedMemory.PAGE_COUNT, found::put);
    return found;
  }
}
