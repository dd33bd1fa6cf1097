package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

class KernelChoiceTest {

  private static final List<String> BACKPORTS =
      List.of(
          "linux-binary-7.2.9+deb13-cloud-amd64",
          "linux-binary-7.2.12+deb13-cloud-amd64",
          "linux-image-6.18.15+deb13-cloud-amd64",
          "linux-image-7.2.9+deb13-cloud-amd64",
          "linux-image-7.2.12+deb13-cloud-amd64",
          "linux-image-7.2.12+deb13-cloud-amd64-dbg",
          "linux-image-7.3.4+deb13-amd64",
          "linux-modules-7.2.9+deb13-cloud-amd64",
          "linux-modules-7.2.12+deb13-cloud-amd64",
          "linux-modules-7.3.4+deb13-cloud-amd64");

  @Test
  void takesTheNewestAsNumbersGo() {
    assertThat(KernelChoice.parse("trixie-backports").packages(BACKPORTS, "amd64"))
        .hasValue(
            List.of(
                "linux-binary-7.2.12+deb13-cloud-amd64", "linux-modules-7.2.12+deb13-cloud-amd64"));
  }

  @Test
  void takesTheOnePackageOfOlderKernels() {
    assertThat(KernelChoice.parse("trixie-backports/6.18").packages(BACKPORTS, "amd64"))
        .hasValue(List.of("linux-image-6.18.15+deb13-cloud-amd64"));
  }

  @Test
  void takesTheGenericKernelOnlyIfAskedTo() {
    List<String> names =
        List.of(
            "linux-image-6.1.0-50-amd64",
            "linux-image-6.1.0-50-amd64-unsigned",
            "linux-image-6.1.0-50-cloud-amd64",
            "linux-image-6.1.0-51-rt-amd64");

    assertThat(KernelChoice.parse("bookworm/6.1/generic").packages(names, "amd64"))
        .hasValue(List.of("linux-image-6.1.0-50-amd64"));
    assertThat(KernelChoice.parse("bookworm/generic").packages(names, "amd64"))
        .hasValue(List.of("linux-image-6.1.0-50-amd64"));
    assertThat(KernelChoice.parse("bookworm").packages(names, "amd64"))
        .hasValue(List.of("linux-image-6.1.0-50-cloud-amd64"));
  }

  @Test
  void hasNothingForAnotherArchitecture() {
    assertThat(KernelChoice.parse("trixie-backports").packages(BACKPORTS, "arm64")).isEmpty();
  }

  @Test
  void aReleaseCandidateIsOlderThanItsRelease() {
    List<String> names = List.of("linux-image-7.3~rc7-cloud-arm64", "linux-image-7.3-cloud-arm64");

    assertThat(new KernelChoice("experimental", "").packages(names, "arm64"))
        .hasValue(List.of("linux-image-7.3-cloud-arm64"));
  }
}
