package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalStateException;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

class FdTest {

  private final List<Integer> closed = new ArrayList<>();
  private final Fd fd = new Fd("userfaultfd", 12, closed::add);

  @Test
  void closesItsNumberOnceSoThatAReusedNumberIsSafe() {
    fd.close();
    fd.close();

    assertThat(closed).containsExactly(12);
  }

  @Test
  void hasNoNumberAfterClosing() {
    assertThat(fd.number()).isEqualTo(12);

    fd.close();

    assertThatIllegalStateException()
        .isThrownBy(fd::number)
        .withMessage("userfaultfd#12 is closed");
  }

  @Test
  void keepsItsNameAfterClosing() {
    fd.close();

    assertThat(fd).hasToString("userfaultfd#12");
  }
}
