package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class DebianPackagesTest {

  private static final String BOOKWORM = "ID=debian\nVERSION_CODENAME=bookworm\n";
  private static final String TARGETS =
      """
      http://mirror.example/security/ bookworm-security main
      http://mirror.example/debian/ bookworm main
      http://mirror.example/debian/ bookworm-backports main
      http://mirror.example/debian/ bookworm contrib
      http://tools.example/ nodistro main
      """;

  @Test
  void aSimulationNamesWhatItWouldInstall() {
    String simulation =
        """
        Reading package lists...
        Inst seabios (1.16.2-1 Debian:12.15/oldstable [all])
        Inst qemu-system-x86 [1:7.2] (1:7.3 Debian:12.15/oldstable [amd64])
        Conf seabios (1.16.2-1 Debian:12.15/oldstable [all])
        """;

    assertThat(DebianPackages.installations(simulation))
        .containsExactly("seabios", "qemu-system-x86");
  }

  @Test
  void theNamesOfFilesCarryTheVersion() {
    String uris =
        """
        'http://mirror.example/z.deb' zlib1g_1%3a1.2.13.dfsg-1_amd64.deb 86684 SHA256:d7dd
        'http://mirror.example/b.deb' busybox-static_1.35_amd64.deb 928188 SHA256:3d3f
        """;

    assertThat(DebianPackages.fileNames(uris))
        .containsExactly("busybox-static_1.35_amd64.deb", "zlib1g_1%3a1.2.13.dfsg-1_amd64.deb");
  }

  @Test
  void takesOnlyTheOwnReleaseFromThisMachinesSources() throws IOException {
    DebianMirror mirror = DebianMirror.of(TARGETS, BOOKWORM);

    assertThat(mirror.own("amd64"))
        .hasSize(2)
        .anyMatch(line -> line.endsWith(" http://mirror.example/debian/ bookworm main"))
        .anyMatch(line -> line.endsWith(" http://mirror.example/security/ bookworm-security main"));
    assertThat(mirror.suite("arm64", "trixie-backports"))
        .startsWith("deb [arch=arm64")
        .endsWith(" http://mirror.example/debian/ trixie-backports main");
  }

  @Test
  void aMachineWithoutDebianCannotHaveTheLab() {
    assertThatThrownBy(() -> DebianMirror.of("http://tools.example/ nodistro main", BOOKWORM))
        .isInstanceOf(LabUnavailableException.class)
        .hasMessageContaining("bookworm");
  }

  @Test
  void whatIsFetchedAnywayDoesNotCountAsInstalled() {
    String status =
        """
        Package: libc6
        Status: install ok installed

        Package: qemu-system-common
        Status: install ok installed

        Package: zlib1g
        Status: install ok installed
        """;

    assertThat(InstalledPackages.without(status))
        .contains("Package: libc6\n", "Package: zlib1g\n")
        .doesNotContain("qemu");
  }

  @Test
  void aModuleNamesWhatItDependsOn() {
    byte[] module =
        "\177ELF\0license=GPL\0depends=kvm,irqbypass\0name=kvm_amd\0"
            .getBytes(StandardCharsets.ISO_8859_1);
    byte[] alone = "\177ELF\0depends=\0name=irqbypass\0".getBytes(StandardCharsets.ISO_8859_1);

    assertThat(KernelFiles.dependencies(module)).containsExactly("kvm", "irqbypass");
    assertThat(KernelFiles.dependencies(alone)).isEmpty();
  }
}
