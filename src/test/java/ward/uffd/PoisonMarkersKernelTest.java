package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.NativeKernel;
import ward.testing.RequiresUserfaultfd;

@RequiresUserfaultfd
@Timeout(60)
class PoisonMarkersKernelTest {

  private final PoisonMarkers markers = new PoisonMarkers(NativeKernel.load());

  private MarkerOffer offer(MarkerKind kind) throws Exception {
    return markers.offers().stream().filter(it -> it.kind() == kind).findFirst().orElseThrow();
  }

  @Test
  void aKernelWithoutMemoryFailureRefusesHwpoisonAndSaysWhatItLacks() throws Exception {
    Assumptions.assumeFalse(
        Files.exists(Path.of("/proc/sys/vm/memory_failure_recovery")),
        "this kernel has CONFIG_MEMORY_FAILURE");

    UserfaultfdException e =
        catchThrowableOfType(UserfaultfdException.class, () -> markers.open(MarkerKind.HWPOISON));

    assertThat(e.kind()).isEqualTo(UserfaultfdException.Kind.NOT_SUPPORTED);
    assertThat(e)
        .hasMessage(
            "poison markers of kind HWPOISON: this kernel has no MADV_HWPOISON; one with"
                + " CONFIG_MEMORY_FAILURE=y has it");
  }

  @Test
  void uffdioPoisonIsOfferedWhereUserfaultfdSaysSo() throws Exception {
    boolean said = Feature.POISON.isIn(Userfaultfd.offeredFeatures(NativeKernel.load()));

    assertThat(offer(MarkerKind.UFFD).isAvailable()).isEqualTo(said);
  }

  @Test
  void theBestKindIsTheFirstThatIsOffered() throws Exception {
    MarkerKind first =
        markers.offers().stream().filter(MarkerOffer::isAvailable).findFirst().orElseThrow().kind();

    try (PoisonMarker best = markers.openBest()) {
      assertThat(best.kind()).isEqualTo(first);
    }
  }
}
