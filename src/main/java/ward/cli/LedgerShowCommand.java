package ward.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Departure;
import ward.poison.LedgerException;
import ward.poison.LedgerJournal;
import ward.poison.LedgerSnapshot;
import ward.poison.MigrationFile;
import ward.poison.MigrationRecord;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;

/** {@code ward ledger show}. */
@Command(
    name = "show",
    description = "Prints a ledger. Changes nothing, also while a daemon has it open.")
final class LedgerShowCommand implements Callable<Integer> {

  private static final List<String> HEADINGS =
      List.of("GPA", "SIZE", "SEVERITY", "HOST", "TIME", "FOUND", "HELD");

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
   * Losses next to each other that were found together.
   *
   * @param pageShift log2 of each lost extent in bytes
   * @param extents how many
   * @param sizeBytes of all of them
   * @param time ISO 8601, UTC
   * @param heldPages of the entry's pages: lost here, but intact for the guest
   * @param givenUpPages of the entry's pages: given back by the guest, which has fresh memory there
   */
  record ShownEntry(
      String guestPhysicalAddress,
      int pageShift,
      long extents,
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
      printTable(snapshot, out);
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
        snapshot.ledger().runs().stream().map(run -> shown(run, held, givenUp)).toList(),
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

  private static ShownEntry shown(PoisonMap.Run run, PageSet held, PageSet givenUp) {
    PoisonEntry first = run.first();
    return new ShownEntry(
        "0x" + Long.toHexString(first.guestPhysicalAddress()),
        first.pageShift(),
        run.extents().pageCount(),
        Pages.bytes(run.frames().pageCount()),
        first.severity().name(),
        first.origin().host(),
        first.origin().time().toString(),
        first.origin().discovery().name(),
        pagesAmong(run, held),
        pagesAmong(run, givenUp));
  }

  private static long pagesAmong(PoisonMap.Run run, PageSet some) {
    if (some.isEmpty()) {
      return 0;
    }
    PageSet frames = new PageSet();
    frames.add(run.frames());
    frames.retainAll(some);
    return frames.size();
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

  /** Row by row: a table of a million entries need not be in memory as text. */
  private static void printTable(LedgerSnapshot snapshot, PrintWriter out) {
    PageSet held = snapshot.ledger().heldFrames();
    PageSet givenUp = snapshot.ledger().givenUpFrames();
    List<PoisonMap.Run> runs = snapshot.ledger().runs();
    if (runs.isEmpty()) {
      return;
    }
    int[] widths = HEADINGS.stream().mapToInt(String::length).toArray();
    runs.forEach(run -> widen(widths, row(run, held, givenUp)));
    out.println(aligned(HEADINGS, widths));
    runs.forEach(run -> out.println(aligned(row(run, held, givenUp), widths)));
  }

  private static List<String> row(PoisonMap.Run run, PageSet held, PageSet givenUp) {
    PoisonEntry first = run.first();
    return List.of(
        "0x" + Long.toHexString(first.guestPhysicalAddress()),
        size(run),
        LedgerText.words(first.severity()),
        LedgerText.printable(first.origin().host()),
        first.origin().time().toString(),
        LedgerText.words(first.origin().discovery()),
        marks(run, held, givenUp));
  }

  private static String size(PoisonMap.Run run) {
    String each = LedgerText.size(run.common().pageShift());
    long extents = run.extents().pageCount();
    return extents == 1 ? each : extents + " x " + each;
  }

  private static String marks(PoisonMap.Run run, PageSet held, PageSet givenUp) {
    long pages = run.frames().pageCount();
    String marks =
        Stream.of(
                mark("held", "", pagesAmong(run, held), pages),
                mark("given up", " given up", pagesAmong(run, givenUp), pages))
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

  private static void widen(int[] widths, List<String> row) {
    for (int column = 0; column < widths.length; column++) {
      widths[column] = Math.max(widths[column], row.get(column).length());
    }
  }

  private static String aligned(List<String> row, int[] widths) {
    StringBuilder line = new StringBuilder();
    for (int column = 0; column < widths.length; column++) {
      String cell = row.get(column);
      line.append(cell).append(" ".repeat(widths[column] - cell.length() + 2));
    }
    return line.toString().stripTrailing();
  }
}
