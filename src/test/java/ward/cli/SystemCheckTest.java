package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.HostFinding.Status;

class SystemCheckTest {

  @TempDir Path root;

  private void file(String path, String text) throws Exception {
    Path file = root.resolve(path);
    Files.createDirectories(file.getParent());
    Files.writeString(file, text);
  }

  private HostFinding finding(String name) {
    Map<String, HostFinding> findings =
        new SystemCheck(new HostFiles(root))
            .run().stream().collect(Collectors.toMap(HostFinding::name, Function.identity()));
    return findings.get(name);
  }

  @Test
  void aKernelOlderThanPoisonIsAWarningBecauseDistributionsBackport() throws Exception {
    file("proc/sys/kernel/osrelease", "6.5.0-27-generic\n");
    assertThat(finding("kernel"))
        .isEqualTo(
            HostFinding.warning(
                "kernel", "6.5.0-27-generic", "Linux 6.6 has UFFDIO_POISON; see poison marker"));

    file("proc/sys/kernel/osrelease", "6.6.0\n");
    assertThat(finding("kernel")).isEqualTo(HostFinding.ok("kernel", "6.6.0"));
    file("proc/sys/kernel/osrelease", "10.1\n");
    assertThat(finding("kernel").status()).isEqualTo(Status.OK);
  }

  @Test
  void saysWhetherTheKernelIsolatesLostPages() throws Exception {
    assertThat(finding("CONFIG_MEMORY_FAILURE").status()).isEqualTo(Status.WARNING);

    file("proc/sys/vm/memory_failure_recovery", "1\n");
    assertThat(finding("CONFIG_MEMORY_FAILURE").status()).isEqualTo(Status.OK);

    file("proc/sys/vm/memory_failure_recovery", "0\n");
    assertThat(finding("CONFIG_MEMORY_FAILURE").remedy())
        .isEqualTo("sysctl vm.memory_failure_recovery=1");
  }

  @Test
  void readsMemoryAndHugePages() throws Exception {
    file(
        "proc/meminfo",
        """
        MemTotal:        8000000 kB
        MemAvailable:    4096000 kB
        HugePages_Total:       4
        HugePages_Free:        3
        Hugepagesize:       2048 kB
        """);
    file("sys/kernel/mm/transparent_hugepage/enabled", "always [madvise] never\n");

    assertThat(finding("memory available").finding()).isEqualTo("4000 MiB");
    assertThat(finding("huge pages").finding()).isEqualTo("4 of 2048 KiB, 3 free");
    assertThat(finding("transparent huge pages").finding()).isEqualTo("madvise");
  }

  @Test
  void findsSomethingToSayOnAHostWithoutAnyOfTheFiles() {
    assertThat(finding("kernel").finding()).isEqualTo("unknown");
    assertThat(finding("memory available").status()).isEqualTo(Status.WARNING);
    assertThat(finding("huge pages").finding()).isEqualTo("none in this kernel");
    assertThat(finding("transparent huge pages").finding()).isEqualTo("none in this kernel");
    assertThat(finding("/dev/kvm permissions").finding()).isEqualTo("not there");
  }

  @Test
  void showsThePermissionsOfTheDevices() throws Exception {
    file("dev/kvm", "");

    assertThat(finding("/dev/kvm permissions").finding()).startsWith("rw-");
    assertThat(finding("/dev/kvm permissions").status()).isEqualTo(Status.OK);
  }

  @Test
  void warnsOfAMachineThatWardIsNotMadeFor() {
    assertThat(SystemCheck.jdk("riscv64").status()).isEqualTo(Status.WARNING);
    assertThat(SystemCheck.jdk("aarch64").status()).isEqualTo(Status.OK);
  }
}
