package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.memory.PageRun;
import ward.memory.PageSet;

class WideningTest {

  private static final int HUGE = 512;

  private static String objection(long first, long count) {
    PageSet lost = new PageSet();
    lost.add(new PageRun(first, count));
    return Widening.objection(lost, HUGE);
  }

  @ParameterizedTest
  @CsvSource({"0,512", "512,512", "1024,2048"})
  void wholeHugePagesMayBeLost(long first, long count) {
    assertThat(objection(first, count)).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"0,1,1", "0,511,511", "511,2,2", "500,24,24", "500,600,88", "3,1021,509"})
  void pagesBesideThemMayNot(long first, long count, long torn) {
    assertThat(objection(first, count))
        .startsWith(torn + " pages of 4 KiB are lost in huge pages of which the rest is intact")
        .contains("huge pages of 2048 KiB")
        .contains("--huge-loss widen");
  }
}
