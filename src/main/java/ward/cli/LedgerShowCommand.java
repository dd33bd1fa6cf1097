package ward.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerSnapshot;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.PoisonEntry;

/** {@code ward ledger show}. */
@Command(
    name = "show",
    description = "Prints a ledger. Changes nothing, also while a daemon has it open.")
final class LedgerShowCommand implements Callable<Integer> {

  @Option(
      names = "--ledger",
      required = true,
      paramLabel = "DIR",
      description = "The ledger's directory.")
  Path directory;

  @Option(names = "--json", description = "As one JSON object.")
  boolean json;

  @Spec CommandSpec spec;

  /** The object of {@code --json}. */
  record Shown(
      String guest,
      long pages,
      long heldPages,
      long givenUpPages,
      String digest,
      List<ShownDeparture> path,
      ShownMigration migration,
      List<ShownEntry> entries,
      List<String> warnings) {}

  /**
   * A host that the guest was on before.
   *
   * @param left ISO 8601, UTC
   */
  record ShownDeparture(String host, String left) {}

  /**
   * The migration that is under way, or the one that took the guest away; null if the guest is
   * here.
   *
   * @param role {@code SOURCE} or {@code DESTINATION}
   * @param stage see {@link MigrationRecord.Stage}
   * @param since ISO 8601, UTC
   */
  record ShownMigration(String role, String stage, String peer, String since, String session) {}

  /**
   * @param time ISO 8601, UTC
   * @param heldPages of the entry's pages: lost here, but intact for the guest
   * @param givenUpPages of the entry's pages: given back by the guest, which has fresh memory there
   */
  record ShownEntry(
      String guestPhysicalAddress,
      int pageShift,
      long sizeBytes,
      String severity,
      String host,
      String time,
      String discovery,
      long heldPages,
      long givenUpPages) {}

  @Override
  public Integer call() {
    LedgerSnapshot snapshot = read();
    Optional<MigrationRecord> migration = readMigration();
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(shown(snapshot, migration)));
    } else {
      snapshot.warnings().forEach(spec.commandLine().getErr()::println);
      out.println(header(snapshot));
      snapshot.departures().forEach(hop -> out.println(line(hop)));
      migration.ifPresent(record -> out.println(line(record)));
      table(snapshot).forEach(out::println);
    }
    return ExitCode.OK.code();
  }

  private LedgerSnapshot read() {
    try {
      return LedgerJournal.read(directory);
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
  }

  private Optional<MigrationRecord> readMigration() {
    try {
      return MigrationFile.peek(directory);
    } catch (LedgerException e) {
      throw new CommandFailure(Ledgers.exitCodeFor(e), e.getMessage());
    }
  }

  private static Shown shown(LedgerSnapshot snapshot, Optional<MigrationRecord> migration) {
    PageSet held = snapshot.ledger().heldFrames();
    PageSet givenUp = snapshot.ledger().givenUpFrames();
    return new Shown(
        snapshot.guest().orElse(null),
        snapshot.ledger().pageCount(),
        held.size(),
        givenUp.size(),
        snapshot.ledger().digest().toString(),
        snapshot.departures().stream()
            .map(hop -> new ShownDeparture(hop.host(), hop.time().toString()))
            .toList(),
        migration.map(LedgerShowCommand::shown).orElse(null),
        snapshot.ledger().entries().stream().map(entry -> shown(entry, held, givenUp)).toList(),
        snapshot.warnings());
  }

  private static ShownMigration shown(MigrationRecord record) {
    return new ShownMigration(
        record.role().name(),
        record.stage().name(),
        record.peer(),
        record.time().toString(),
        record.session().toString());
  }

  private static ShownEntry shown(PoisonEntry entry, PageSet held, PageSet givenUp) {
    return new ShownEntry(
        "0x" + Long.toHexString(entry.guestPhysicalAddress()),
        entry.pageShift(),
        LedgerText.bytesOf(entry),
        entry.severity().name(),
        entry.origin().host(),
        entry.origin().time().toString(),
        entry.origin().discovery().name(),
        pagesAmong(entry, held),
        pagesAmong(entry, givenUp));
  }

  private static long pagesAmong(PoisonEntry entry, PageSet some) {
    PageSet frames = new PageSet();
    frames.add(new PageRun(entry.guestPhysicalAddress() >>> Pages.SHIFT, pagesOf(entry)));
    frames.retainAll(some);
    return frames.size();
  }

  private static long pagesOf(PoisonEntry entry) {
    return LedgerText.bytesOf(entry) >>> Pages.SHIFT;
  }

  private static String header(LedgerSnapshot snapshot) {
    return "%s: %d pages lost, %d held%s, digest %s"
        .formatted(
            snapshot
                .guest()
                .map(name -> "guest " + LedgerText.printable(name))
                .orElse("no guest yet"),
            snapshot.ledger().pageCount(),
            snapshot.ledger().heldFrames().size(),
            givenUp(snapshot.ledger().givenUpFrames().size()),
            snapshot.ledger().digest());
  }

  /** Rare, so it is said only where it is so. */
  private static String givenUp(long pages) {
    return pages == 0 ? "" : ", %d given up".formatted(pages);
  }

  private static String line(Departure hop) {
    return "came from %s, left %s".formatted(LedgerText.printable(hop.host()), hop.time());
  }

  private static String line(MigrationRecord record) {
    return "migration %s %s: %s since %s, session %s"
        .formatted(
            record.role() == MigrationRecord.Role.SOURCE ? "to" : "from",
            LedgerText.printable(record.peer()),
            LedgerText.words(record.stage()),
            record.time(),
            record.session());
  }

  private static List<String> table(LedgerSnapshot snapshot) {
    PageSet held = snapshot.ledger().heldFrames();
    PageSet givenUp = snapshot.ledger().givenUpFrames();
    List<List<String>> rows = new ArrayList<>();
    snapshot.ledger().entries().forEach(entry -> rows.add(row(entry, held, givenUp)));
    if (!rows.isEmpty()) {
      rows.add(0, List.of("GPA", "SIZE", "SEVERITY", "HOST", "TIME", "FOUND", "HELD"));
    }
    return aligned(rows);
  }

  private static List<String> row(PoisonEntry entry, PageSet held, PageSet givenUp) {
    return List.of(
        "0x" + Long.toHexString(entry.guestPhysicalAddress()),
        LedgerText.size(entry.pageShift()),
        LedgerText.words(entry.severity()),
        LedgerText.printable(entry.origin().host()),
        entry.origin().time().toString(),
        LedgerText.words(entry.origin().discovery()),
        mark(entry, held, givenUp));
  }

  private static String mark(PoisonEntry entry, PageSet held, PageSet givenUp) {
    String marks =
        Stream.of(
                mark("held", "", pagesAmong(entry, held), pagesOf(entry)),
                mark("given up", " given up", pagesAmong(entry, givenUp), pagesOf(entry)))
            .filter(mark -> !mark.isEmpty())
            .collect(Collectors.joining(", "));
    return marks.isEmpty() ? "-" : marks;
  }

  private static String mark(String whole, String part, long some, long pages) {
    if (some == 0) {
      return "";
    }
    return some == pages ? whole : "%d of %d%s".formatted(some, pages, part);
  }

  private static List<String> aligned(List<List<String>> rows) {
    return rows.stream()
        .map(
            row -> {
              List<String> cells = new ArrayList<>();
              for (int column = 0; column < row.size(); column++) {
                cells.add(padded(row.get(column), width(rows, column)));
              }
              return cells.stream().collect(Collectors.joining("  ")).stripTrailing();
            })
        .toList();
  }

  private static int width(List<List<String>> rows, int column) {
    return rows.stream().mapToInt(row -> row.get(column).length()).max().orElse(0);
  }

  private static String padded(String cell, int width) {
    return cell + " ".repeat(width - cell.length());
  }
}
