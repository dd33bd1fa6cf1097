package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.testing.RequiresUserfaultfd;

@RequiresUserfaultfd
@Timeout(30)
class CheckCommandKernelTest {

  @Test
  void thisHostKeepsAPageLostAndSaysSo() {
    CommandRun run = CommandRun.of(new CheckCommand());

    assertThat(run.lines())
        .as(run.out())
        .anyMatch(line -> line.matches("ok +poison round trip .*EHWPOISON"))
        .anyMatch(line -> line.matches("ok +process_vm_readv of poison .*EFAULT.*"))
        .anyMatch(line -> line.matches("ok +UFFD_FEATURE_POISON +since Linux 6.6"))
        .contains("source: yes", "destination with threads only: yes");
    assertThat(run.exitCode()).isZero();
  }
}
