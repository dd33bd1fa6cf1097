package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import ward.testing.RequiresKvm;

/** The benchmark with a guest that measures itself, as small as it can be. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(600)
class BenchGuestScenario {

  @TempDir private Path directory;

  @Test
  void twoVcpusWaitForTheirPagesUnderTheYardstickAndUnderWard() throws Exception {
    JsonNode line = new BenchOnce(directory, "demand-2-vcpu-free").line();

    for (String side : new String[] {"sleeping", "spinning", "ward"}) {
      assertThat(line.at("/sides/" + side + "/p50Micros/median").asDouble())
          .as(side)
          .isGreaterThanOrEqualTo(1);
    }
  }
}
