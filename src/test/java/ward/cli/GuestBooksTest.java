package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Path;
import java.time.Duration;
import java.time.Instant;
import java.util.List;
import java.util.OptionalLong;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.poison.FickleLedger;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.FailedRequest;
import ward.vcpu.MemoryError;
import ward.vcpu.MemoryErrorEvent;

class GuestBooksTest {

  @TempDir private Path directory;

  private static MemoryError at(OptionalLong address, int lsb) {
    return new MemoryError(
        address, Severity.ACTION_REQUIRED, lsb, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 1);
  }

  @Test
  void aLossThatNoLedgerKnewIsOnDiskWhenTheGuestIsTold() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);
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
  void aVcpuWaitsWithItsNewLossUntilTheDiskTakesIt() throws Exception {
    FickleLedger ledger = new FickleLedger("web-7");
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ofMinutes(1));
    books.keep(ledger.journal());
    ledger.fill();

    CompletableFuture<Void> vcpu = onItsThread(books);
    while (ledger.refusals() < 2) {
      Thread.sleep(1);
    }
    boolean early = vcpu.isDone();
    ledger.free();
    vcpu.get(20, TimeUnit.SECONDS);

    assertThat(early).isFalse();
    assertThat(ledger.onDisk().contains(0x5000)).isTrue();
  }

  @Test
  void aVcpuDoesNotWaitLongerThanItsOperatorDoes() throws Exception {
    FickleLedger ledger = new FickleLedger("web-7");
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ofMinutes(10));
    books.keep(ledger.journal());
    ledger.fill();
    CompletableFuture<Void> vcpu = onItsThread(books);
    while (ledger.refusals() == 0) {
      Thread.sleep(1);
    }

    books.stopWaiting();

    assertThat(vcpu)
        .failsWithin(Duration.ofSeconds(20))
        .withThrowableThat()
        .withMessageContaining("cannot append to")
        .withMessageContaining("No space left on device");
    assertThat(ledger.onDisk().pageCount()).isZero();
  }

  @Test
  void withoutPatienceTheGuestStopsAtOnce() throws Exception {
    FickleLedger ledger = new FickleLedger("web-7");
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);
    books.keep(ledger.journal());
    ledger.fill();

    assertThatThrownBy(() -> books.consumed(at(OptionalLong.of(0x5000), 12)))
        .isInstanceOf(LedgerException.class);
  }

  private static CompletableFuture<Void> onItsThread(GuestBooks books) {
    return CompletableFuture.runAsync(
        () -> {
          try {
            books.consumed(at(OptionalLong.of(0x5000), 12));
          } catch (IOException e) {
            throw new CompletionException(e);
          }
        });
  }

  @Test
  void everyKindOfErrorIsAnEventButOnlyLossesThatWereMetAreCountedAsSuch() {
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);

    for (MemoryError.Input input : MemoryError.Input.values()) {
      MemoryError error =
          new MemoryError(OptionalLong.empty(), Severity.ACTION_REQUIRED, 12, input, 0);
      books.injected(
          new MemoryErrorEvent(
              Instant.EPOCH, error, OptionalLong.empty(), new FailedRequest("disk")));
    }

    int inputs = MemoryError.Input.values().length;
    assertThat(books.events()).hasSize(inputs);
    assertThat(books.announced()).isEqualTo(1);
    assertThat(books.injected()).isEqualTo(inputs - 3);
  }

  @Test
  void onlyTheLatestEventsAreKept() {
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);

    for (int i = 0; i <= GuestBooks.EVENTS_MAX; i++) {
      MemoryError error = at(OptionalLong.of((long) i << 12), 12);
      books.injected(
          new MemoryErrorEvent(
              Instant.EPOCH, error, OptionalLong.empty(), new FailedRequest("disk")));
    }

    assertThat(books.events()).hasSize(GuestBooks.EVENTS_MAX);
    assertThat(books.events().get(0).error().guestPhysicalAddress()).hasValue(0x1000);
    assertThat(books.injected()).isEqualTo(GuestBooks.EVENTS_MAX + 1);
  }

  @Test
  void aLossThatCameWithTheGuestKeepsItsOrigin() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);
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
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);
    try (LedgerJournal journal = books.open("web-7")) {
      books.consumed(at(OptionalLong.empty(), 12));

      assertThat(journal.ledger().entries()).isEmpty();
    }
  }

  @Test
  void anExtentOf2MiBIsRecordedFromItsBeginning() throws Exception {
    GuestBooks books = new GuestBooks(directory, "host-b", Duration.ZERO);
    try (LedgerJournal journal = books.open("web-7")) {
      books.consumed(at(OptionalLong.of(0x205000), 21));

      PoisonEntry entry = journal.ledger().entries().get(0);
      assertThat(entry.guestPhysicalAddress()).isEqualTo(0x200000);
      assertThat(entry.pageShift()).isEqualTo(21);
    }
  }
}
