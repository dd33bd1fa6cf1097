package ward.memory;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.ref.Reference;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TableRoomTest {

  private static final long MIB = 1 << 20;
  private static final long PAGES_PER_GIB = (1L << 30) >>> Pages.SHIFT;

  private static TableRoom room(int tables, long limitMib, long usedMib) {
    return new TableRoom(tables, () -> new DirectMemory(limitMib * MIB, usedMib * MIB));
  }

  @ParameterizedTest
  @CsvSource({"12288, 1, 772, 0", "12288, 1, 900, 128", "12288, 2, 1540, 0", "17, 1, 6, 0"})
  void aGuestThatJustFitsIsTakenAndAMibLessRefusesIt(
      long guestGib, int tables, long limitMib, long usedMib) {
    long pages = guestGib * PAGES_PER_GIB;

    assertThat(room(tables, limitMib, usedMib).objection(pages)).isEmpty();
    assertThat(room(tables, limitMib - 1, usedMib).objection(pages)).isPresent();
    assertThat(room(tables, limitMib, usedMib + 1).objection(pages)).isPresent();
  }

  @Test
  void theObjectionSaysWhatIsNeededWhatIsAllowedAndWhatToDo() {
    long pages = 12_288 * PAGES_PER_GIB;

    assertThat(room(1, 128, 5).objection(pages))
        .hasValue(
            "the states of the 3221225472 pages of a guest of 12582912 MiB take 768 MiB outside the Java heap, connections 4 MiB; this JVM may take 128 MiB, and has taken 5 MiB: start it with -XX:MaxDirectMemorySize=777m or more, in WARD_JAVA_OPTIONS for instance");
  }

  @Test
  void whatItAsksForIsEnough() {
    long pages = 256 * PAGES_PER_GIB;
    String objection = room(3, 8, 5).objection(pages).orElseThrow();
    long asked = Long.parseLong(objection.replaceFirst(".*MemorySize=(\\d+)m.*", "$1"));

    assertThat(room(3, asked, 5).objection(pages)).isEmpty();
    assertThat(room(3, asked - 1, 5).objection(pages)).isPresent();
  }

  @Test
  void aSmallGuestIsTakenWithoutALookAtTheMachine() {
    TableRoom blind =
        new TableRoom(
            3,
            () -> {
              throw new AssertionError("looked");
            });

    assertThat(blind.objection(16 * PAGES_PER_GIB)).isEmpty();
  }

  /** By the count that the JVM itself goes by; buffers of other tests may go in between. */
  @Test
  void aTableTakesWhatIsCountedForIt() {
    long pages = 16 * PAGES_PER_GIB + 1;

    long[] taken = IntStream.range(0, 10).mapToLong(each -> takenByATableOf(pages)).toArray();

    assertThat(taken).contains(PageStates.bytesFor(pages));
    assertThat(DirectMemory.now().limitBytes()).isPositive();
  }

  private static long takenByATableOf(long pages) {
    PageStates states = new PageStates(pages);
    long before = DirectMemory.now().usedBytes();
    states.moveLeading(0, pages, 1, 1);
    long after = DirectMemory.now().usedBytes();
    Reference.reachabilityFence(states);
    return after - before;
  }
}
