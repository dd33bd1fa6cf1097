package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import java.time.Duration;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.NativeMemory;
import ward.memory.PageRun;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;

@RequiresUserfaultfd
@Timeout(60)
class AuditKernelTest {

  private TouchedMemory memory;

  @BeforeEach
  void open() throws Exception {
    memory = new TouchedMemory(16);
  }

  @AfterEach
  void close() {
    memory.close();
  }

  @Test
  void agreesWhenEveryPageIsWhatTheTableSays() throws Exception {
    memory.data(0, 8);
    memory.fixture.resolver.zero(new PageRun(8, 4));
    memory.poison(12);
    memory.data(13, 3);

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.agrees()).isTrue();
    assertThat(finding.markers()).isEqualTo(1);
    assertThat(finding.mismatches()).isEmpty();
  }

  @Test
  void namesAPoisonedPageThatSomebodyHealed() throws Exception {
    memory.data(0, 12);
    memory.poison(12);
    memory.data(13, 3);
    NativeMemory stale = NativeMemory.allocate(Pages.SIZE_BYTES);

    memory.uffd.copy(memory.base + Pages.bytes(12), stale.address(), Pages.SIZE_BYTES);
    Audit.Finding finding = memory.audit.run();

    assertThat(finding.agrees()).isFalse();
    assertThat(finding.markers()).isZero();
    assertThat(finding.mismatches())
        .containsExactly(
            "guest-physical address 0x10c000: page table says POISONED, memory is MAPPED");
  }

  @Test
  void countsEveryMissingPageAndNamesTheFirstFew() throws Exception {
    memory.data(0, 8);

    Audit.Finding finding = memory.audit.run();

    assertThat(finding.mismatchCount()).isEqualTo(8);
    assertThat(finding.mismatches())
        .hasSize(5)
        .first()
        .isEqualTo("guest-physical address 0x108000: page table says MISSING, memory is EMPTY");
  }

  /** As memory failure would lose it, behind everybody's back. */
  private void loseOnThisHost(long page) throws Exception {
    memory.data(0, page);
    memory.data(page + 1, 15 - page);
    memory.uffd.poison(memory.base + Pages.bytes(page), Pages.SIZE_BYTES);
    memory.fixture.table.claim(page);
  }

  @Test
  void waitsUntilALossOfThisHostIsWrittenDown() throws Exception {
    loseOnThisHost(12);

    Audit.Finding before = memory.audit.run();
    memory.ledger.lose(12);
    Audit.Finding after = memory.audit.run();

    assertThat(before.agrees()).isFalse();
    assertThat(before.mismatches()).isEmpty();
    assertThat(before.unsettled()).isEqualTo(1);
    assertThat(after.agrees()).as("%s", after).isTrue();
    assertThat(after.markers()).as("of the source's losses").isZero();
  }

  @Test
  void namesAPageThatIsPoisonedAlthoughNobodyRecordedItInTime() throws Exception {
    loseOnThisHost(12);

    Audit.Finding finding = memory.audit(Duration.ZERO).run();

    assertThat(finding.unsettled()).isZero();
    assertThat(finding.mismatches())
        .containsExactly(
            "guest-physical address 0x10c000: page table says PRESENT, memory is POISONED");
  }
}
