package ward.cli;

import java.nio.file.Path;
import java.time.Instant;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;
import picocli.CommandLine.Spec;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;

/** {@code ward ledger add}. */
@Command(
    name = "add",
    description =
        "Declares pages of a guest as lost. On disk when this ends; a daemon that has the ledger"
            + " open must be told by `ward control report` instead.")
final class LedgerAddCommand implements Callable<Integer> {

  @Option(
      names = "--ledger",
      required = true,
      paramLabel = "DIR",
      description = "The ledger's directory; made if it is not there.")
  Path directory;

  @Option(
      names = "--layout",
      paramLabel = "FILE",
      description = "The guest's layout: only its ledger is taken, and only addresses in its RAM.")
  Path layout;

  @Option(
      names = "--host",
      paramLabel = "NAME",
      description = "The host that lost them (default: what the system says).")
  String host;

  @Option(
      names = "--shift",
      paramLabel = "BITS",
      defaultValue = "12",
      description =
          "log2 of the lost extent in bytes: 12 for 4 KiB, 21 for 2 MiB, 30 for 1 GiB (default:"
              + " ${DEFAULT-VALUE}).")
  int shift;

  @Parameters(
      paramLabel = "GPA",
      arity = "1..*",
      description = "Guest-physical addresses, multiples of the extent.")
  List<GuestPhysicalAddress> addresses;

  @Spec CommandSpec spec;

  @Override
  public Integer call() {
    List<PoisonEntry> entries = entries();
    try (LedgerJournal journal = open(entries)) {
      journal.warnings().forEach(spec.commandLine().getErr()::println);
      print(entries, journal.append(entries));
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
    return ExitCode.OK.code();
  }

  private List<PoisonEntry> entries() {
    try {
      Origin origin =
          new Origin(HostName.orSystems(host), Instant.now(), Origin.Discovery.DECLARED);
      return addresses.stream()
          .map(gpa -> new PoisonEntry(gpa.value(), shift, Severity.ACTION_REQUIRED, origin))
          .toList();
    } catch (IllegalArgumentException e) {
      throw new CommandFailure(ExitCode.USAGE, e.getMessage());
    }
  }

  private LedgerJournal open(List<PoisonEntry> entries) throws LedgerException {
    if (layout == null) {
      return LedgerJournal.openUnbound(directory);
    }
    GuestLayout guest = LayoutFile.read(layout);
    entries.forEach(entry -> requireRam(guest, entry));
    return LedgerJournal.open(directory, guest.guest());
  }

  private void requireRam(GuestLayout guest, PoisonEntry entry) {
    long end = entry.guestPhysicalAddress() + LedgerText.bytesOf(entry);
    for (long at = entry.guestPhysicalAddress(); at < end; at += Pages.SIZE_BYTES) {
      if (guest.pageAt(at).isEmpty()) {
        throw new CommandFailure(
            ExitCode.INPUT_REFUSED,
            "0x%x is not RAM of guest \"%s\"; its RAM is %s"
                .formatted(at, guest.guest(), LedgerText.ramOf(guest)));
      }
    }
  }

  // The news are the entries themselves, in the same order.
  private void print(List<PoisonEntry> entries, List<PoisonEntry> news) {
    Iterator<PoisonEntry> rest = news.iterator();
    PoisonEntry next = rest.hasNext() ? rest.next() : null;
    for (PoisonEntry entry : entries) {
      boolean isNew = entry == next;
      spec.commandLine().getOut().println((isNew ? "new   " : "known ") + LedgerText.extent(entry));
      next = isNew ? (rest.hasNext() ? rest.next() : null) : next;
    }
  }
}
