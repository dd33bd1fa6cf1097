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
 * @param injected machine checks that the guest got there
 * @param ledger the file of the source's ledger
 * @param guestLog what the guest said there
 */
record SourceAccount(
    int exitCode,
    List<Long> lost,
    int late,
    int lateHeld,
    long injected,
    byte[] ledger,
    byte[] guestLog) {

  private static final String JOURNAL = "journal";

  static SourceAccount of(MigrationSource source, int exitCode) throws IOException {
    List<Long> lost = new ArrayList<>();
    source.lost().forEach(lost::add);
    return new SourceAccount(
        exitCode,
        lost,
        source.late(),
        source.lateHeld(),
        source.injected(),
        Files.readAllBytes(source.ledger().resolve(JOURNAL)),
        Files.readAllBytes(source.guestLog()));
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

  /** A guest log as it was on host 1; where it is now. */
  Path writeGuestLog(Path directory) throws IOException {
    return Files.write(directory.resolve("guest-at-the-source.log"), guestLog);
  }
}
