package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.MemoryError;

class GuestBooksTest {

  @TempDir private Path directory;

  private static MemoryError at(OptionalLong address, int lsb) {
    return new MemoryError(
        address, Severity.ACTION_REQUIRED, lsb, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 1);
  }

  @Test
  void aLossThatNoLedgerKnewIsOnDiskWhenTheGuestIsTold() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b");
    try (LedgerJournal journal = books.open("web-7")) {
      books.consumed(at(OptionalLong.of(0x5000), 12));

      assertThat(books.freshlyConsumed()).isEqualTo(1);
      assertThat(journal.ledger().entries()).hasSize(1);
    }
    PoisonEntry entry = LedgerJournal.read(directory).ledger().entries().get(0);
    assertThat(entry.guestPhysicalAddress()).isEqualTo(0x5000);
    assertThat(entry.origin().host()).isEqualTo("host-b");
    assertThat(entry.origin().discovery()).isEqualTo(Origin.Discovery.CONSUMED);
  }

  @Test
  void aLossThatCameWithTheGuestKeepsItsOrigin() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b");
    try (LedgerJournal journal = books.open("web-7")) {
      Origin origin = new Origin("host-a", Instant.EPOCH, Origin.Discovery.DECLARED);
      PoisonEntry known = new PoisonEntry(0x5000, 12, Severity.ACTION_REQUIRED, origin);
      journal.append(List.of(known));

      books.consumed(at(OptionalLong.of(0x5000), 12));

      assertThat(books.freshlyConsumed()).isZero();
      assertThat(journal.ledger().entries()).containsExactly(known);
    }
  }

  @Test
  void aLossWithoutAnAddressIsNotWrittenDownAnywhereInParticular() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b");
    try (LedgerJournal journal = books.open("web-7")) {
      books.consumed(at(OptionalLong.empty(), 12));

      assertThat(journal.ledger().entries()).isEmpty();
    }
  }

  @Test
  void anExtentOf2MiBIsRecordedFromItsBeginning() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b");
    try (LedgerJournal journal = books.open("web-7")) {
      books.consumed(at(OptionalLong.of(0x205000), 21));

      PoisonEntry entry = journal.ledger().entries().get(0);
      assertThat(entry.guestPhysicalAddress()).isEqualTo(0x200000);
      assertThat(entry.pageShift()).isEqualTo(21);
    }
  }
}
