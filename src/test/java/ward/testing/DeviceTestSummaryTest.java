package ward.testing;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.util.ArrayList;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Disabled;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;
import org.junit.platform.engine.discovery.ClassSelector;
import org.junit.platform.launcher.EngineFilter;
import org.junit.platform.launcher.core.LauncherConfig;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

class DeviceTestSummaryTest {

  @Test
  void countsWhatRanByTheTagOfItsClass() {
    assertThat(linesAfter(OnTheKernel.class))
        .containsExactly("kernel: 3 run, 0 skipped; kvm: 0 run, 0 skipped");
  }

  @Test
  void countsEveryMethodOfASkippedClassAndGivesTheReasonOnce() {
    assertThat(linesAfter(OnTheKernel.class, WithoutKvm.class))
        .containsExactly(
            "kernel: 3 run, 0 skipped; kvm: 0 run, 2 skipped (open on /dev/kvm failed: EACCES)");
  }

  @Test
  void countsATestThatGivesUpByItselfAsSkipped() {
    assertThat(linesAfter(GivesUp.class))
        .containsExactly(
            "kernel: 0 run, 1 skipped (Assumption failed: no node); kvm: 0 run, 0 skipped");
  }

  @Test
  void saysNothingWhereNoTestNeedsADevice() {
    assertThat(linesAfter(Anywhere.class)).isEmpty();
  }

  private static List<String> linesAfter(Class<?>... samples) {
    List<String> lines = new ArrayList<>();
    DeviceTestSummary summary = new DeviceTestSummary(lines::add);
    LauncherConfig config =
        LauncherConfig.builder().enableTestExecutionListenerAutoRegistration(false).build();
    LauncherFactory.create(config)
        .execute(
            LauncherDiscoveryRequestBuilder.request()
                .selectors(
                    Stream.of(samples)
                        .map(sample -> selectClass(sample))
                        .toArray(ClassSelector[]::new))
                .filters(EngineFilter.includeEngines("junit-jupiter"))
                .build(),
            summary);
    return lines;
  }

  @Tag("kernel")
  static class OnTheKernel {
    @Test
    void passes() {}

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void passesTwice(int number) {}
  }

  @Tag("kvm")
  @Disabled("open on /dev/kvm failed: EACCES")
  static class WithoutKvm {
    @Test
    void first() {}

    @ParameterizedTest
    @ValueSource(ints = {1, 2})
    void second(int number) {}
  }

  @Tag("kernel")
  static class GivesUp {
    @Test
    void assumesTooMuch() {
      Assumptions.abort("Assumption failed: no node");
    }
  }

  static class Anywhere {
    @Test
    void passes() {}
  }
}
