package ward.cli;

import java.io.PrintWriter;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.stream.Collectors;
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
      String digest,
      List<ShownDeparture> path,
      List<ShownEntry> entries,
      List<String> warnings) {}

  /**
   * A host that the guest was on before.
   *
   * @param left ISO 8601, UTC
   */
  record ShownDeparture(String host, String left) {}

  /**
   * @param time ISO 8601, UTC
   * @param heldPages of the entry's pages: lost here, but intact for the guest
   */
  record ShownEntry(
      String guestPhysicalAddress,
      int pageShift,
      long sizeBytes,
      String severity,
      String host,
      String time,
      String discovery,
      long heldPages) {}

  @Override
  public Integer call() {
    LedgerSnapshot snapshot = read();
    PrintWriter out = spec.commandLine().getOut();
    if (json) {
      out.println(Json.pretty(shown(snapshot)));
    } else {
      snapshot.warnings().forEach(spec.commandLine().getErr()::println);
      out.println(header(snapshot));
      snapshot.departures().forEach(hop -> out.println(line(hop)));
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

  private static Shown shown(LedgerSnapshot snapshot) {
    PageSet held = snapshot.ledger().heldFrames();
    return new Shown(
        snapshot.guest().orElse(null),
        snapshot.ledger().pageCount(),
        held.size(),
        snapshot.ledger().digest().toString(),
        snapshot.departures().stream()
            .map(hop -> new ShownDeparture(hop.host(), hop.time().toString()))
            .toList(),
        snapshot.ledger().entries().stream().map(entry -> shown(entry, held)).toList(),
        snapshot.warnings());
  }

  private static ShownEntry shown(PoisonEntry entry, PageSet held) {
    return new ShownEntry(
        "0x" + Long.toHexString(entry.guestPhysicalAddress()),
        entry.pageShift(),
        LedgerText.bytesOf(entry),
        entry.severity().name(),
        entry.origin().host(),
        entry.origin().time().toString(),
        entry.origin().discovery().name(),
        heldPages(entry, held));
  }

  private static long heldPages(PoisonEntry entry, PageSet held) {
    PageSet frames = new PageSet();
    frames.add(new PageRun(entry.guestPhysicalAddress() >>> Pages.SHIFT, pagesOf(entry)));
    frames.retainAll(held);
    return frames.size();
  }

  private static long pagesOf(PoisonEntry entry) {
    return LedgerText.bytesOf(entry) >>> Pages.SHIFT;
  }

  private static String header(LedgerSnapshot snapshot) {
    return "%s: %d pages lost, %d held, digest %s"
        .formatted(
            snapshot
                .guest()
                .map(name -> "guest " + LedgerText.printable(name))
                .orElse("no guest yet"),
            snapshot.ledger().pageCount(),
            snapshot.ledger().heldFrames().size(),
            snapshot.ledger().digest());
  }

  private static String line(Departure hop) {
    return "came from %s, left %s".formatted(LedgerText.printable(hop.host()), hop.time());
  }

  private static List<String> table(LedgerSnapshot snapshot) {
    PageSet held = snapshot.ledger().heldFrames();
    List<List<String>> rows = new ArrayList<>();
    snapshot.ledger().entries().forEach(entry -> rows.add(row(entry, held)));
    if (!rows.isEmpty()) {
      rows.add(0, List.of("GPA", "SIZE", "SEVERITY", "HOST", "TIME", "FOUND", "HELD"));
    }
    return aligned(rows);
  }

  private static List<String> row(PoisonEntry entry, PageSet held) {
    return List.of(
        "0x" + Long.toHexString(entry.guestPhysicalAddress()),
        LedgerText.size(entry.pageShift()),
        LedgerText.words(entry.severity()),
        LedgerText.printable(entry.origin().host()),
        entry.origin().time().toString(),
        LedgerText.words(entry.origin().discovery()),
        heldMark(heldPages(entry, held), pagesOf(entry)));
  }

  private static String heldMark(long held, long pages) {
    if (held == 0) {
      return "-";
    }
    return held == pages ? "held" : held + " of " + pages;
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
