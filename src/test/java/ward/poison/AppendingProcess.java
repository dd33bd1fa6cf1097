package ward.poison;

import java.nio.file.Path;
import java.util.List;

/** Appends losses until it is killed, and prints the address of each once it is promised. */
final class AppendingProcess {

  private AppendingProcess() {}

  public static void main(String[] args) throws Exception {
    try (LedgerJournal journal = LedgerJournal.open(Path.of(args[0]), "web-7")) {
      for (long address = 0x1000; ; address += 0x1000) {
        journal.append(List.of(Losses.page(address)));
        System.out.println(address);
      }
    }
  }
}
