package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class PoisonPlanTest {

  private static final long MEMORY_BYTES = 16 << 20;

  @TempDir private Path directory;

  private WalkerGuest guest;

  @BeforeEach
  void makeAGuest() throws IOException {
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("memory"), StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      guest = new WalkerGuestBuilder(MEMORY_BYTES, 2, 1).writeTo(file);
    }
  }

  private static LoopbackSettings settings(int declared, int found, int late, long seed) {
    return new LoopbackSettings(
        MEMORY_BYTES, 2, declared, found, late, seed, "auto", "auto", Duration.ofMinutes(1));
  }

  @Test
  void theSameSeedDrawsTheSamePlan() {
    PoisonPlan one = PoisonPlan.draw(guest, settings(20, 10, 5, 1));
    PoisonPlan other = PoisonPlan.draw(guest, settings(20, 10, 5, 1));

    assertThat(other).isEqualTo(one);
    assertThat(other.declared())
        .isNotEqualTo(PoisonPlan.draw(guest, settings(20, 10, 5, 2)).declared());
  }

  @Test
  void asManyPagesAreLostAsWasAsked() {
    PoisonPlan plan = PoisonPlan.draw(guest, settings(20, 10, 5, 1));

    assertThat(plan.declared()).hasSize(20);
    assertThat(plan.found()).hasSize(10);
    assertThat(plan.lateCandidates()).hasSizeGreaterThanOrEqualTo(5);
  }

  @Test
  void noPageIsLostTwiceAndNoneThatTheGuestNeeds() {
    PoisonPlan plan = PoisonPlan.draw(guest, settings(500, 400, 100, 3));

    List<Long> all = new ArrayList<>(plan.declared());
    all.addAll(plan.found());
    all.addAll(plan.lateCandidates());

    assertThat(all)
        .doesNotHaveDuplicates()
        .allMatch(page -> page >= 0 && page < guest.layout().pageCount())
        .noneMatch(page -> guest.imagePages().contains(page));
  }

  @Test
  void lateLossesComeFromTheEndOfEachWalk() {
    PoisonPlan plan = PoisonPlan.draw(guest, settings(0, 0, 5, 1));

    for (long[] order : guest.orders()) {
      int last = order.length - 1;
      while (guest.imagePages().contains(order[last])) {
        last--;
      }
      assertThat(plan.lateCandidates().indexOf(order[last])).isBetween(0, 1);
    }
  }

  @Test
  void nothingAskedForIsNothingLost() {
    PoisonPlan plan = PoisonPlan.draw(guest, settings(0, 0, 0, 1));

    assertThat(plan.declared()).isEmpty();
    assertThat(plan.found()).isEmpty();
  }
}
