package ward.testbed;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import ward.memory.PageSet;

/**
 * What host 1 tells host 2 in the end.
 *
 * @param lost indexes of the pages that are lost
 * @param late how many of them were lost while the source served
 * @param lateHeld how many were reported after the destination had them
 * @param ledger the file of the source's ledger
 */
record SourceAccount(int exitCode, List<Long> lost, int late, int lateHeld, byte[] ledger) {

  private static final String JOURNAL = "journal";

  static SourceAccount of(MigrationSource source, int exitCode) throws IOException {
    List<Long> lost = new ArrayList<>();
    source.lost().forEach(lost::add);
    return new SourceAccount(
        exitCode,
        lost,
        source.late(),
        source.lateHeld(),
        Files.readAllBytes(source.ledger().resolve(JOURNAL)));
  }

  PageSet lostPages() {
    PageSet pages = new PageSet();
    lost.forEach(pages::add);
    return pages;
  }

  /** A ledger as it was on host 1; the directory it is in. */
  Path writeLedger(Path directory) throws IOException {
    Path copy = Files.createDirectories(directory.resolve("ledger-of-the-source"));
    Files.write(copy.resolve(JOURNAL), ledger);
    return copy;
  }
}
