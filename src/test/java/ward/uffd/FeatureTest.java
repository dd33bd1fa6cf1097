package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.EnumSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

class FeatureTest {

  @Test
  void leavesOutBitsItDoesNotKnow() {
    long futureBit = 1L << 40;

    assertThat(Feature.in(futureBit | Feature.POISON.bit())).containsExactly(Feature.POISON);
  }

  @Test
  void everyFeatureSurvivesTheWayThroughAMask() {
    EnumSet<Feature> all = EnumSet.allOf(Feature.class);

    assertThat(Feature.in(Feature.mask(all))).isEqualTo(all);
  }

  @ParameterizedTest
  @EnumSource
  void versionsAreOnesThatPeopleCanChoose(Feature feature) {
    assertThat(feature.linuxVersion()).matches("[4-6]\\.\\d+");
  }
}
