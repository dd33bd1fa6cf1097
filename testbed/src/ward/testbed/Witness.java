package ward.testbed;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * What the guest, or the threads in its place, say they met: read from the destination's guest log.
 *
 * @param seen times a lost page was met as lost
 * @param wrongAddress machine checks that named another page than the one being read, or carried
 *     other bits than they should
 * @param faults what is not as it should be, a line each; empty in a good run
 */
record Witness(long seen, long wrongAddress, List<String> faults) {

  private static final int PASSES = 2;

  /** MCi_MISC: a physical address, good down to bit 12. */
  private static final int PHYSICAL_PAGE = 0x8c;

  /** ESR_EL1: class 0x25, a 32-bit instruction, status 0x10. */
  private static final int EXTERNAL_DATA_ABORT = 0x96000010;

  /** Reads the log of a KVM guest. */
  static Witness ofGuest(Path log, WalkerGuest guest, FileChannel sourceFile, PageSet lost)
      throws IOException {
    WalkerReports reports = reports(List.of(log));
    List<String> faults = new ArrayList<>();
    reports.unexpected().forEach(unexpected -> faults.add(unexpected.toString()));
    Map<Long, Integer> visits = new HashMap<>();
    long wrong = 0;
    for (WalkerReports.LossSeen seen : reports.losses()) {
      wrong += isRight(seen) ? 0 : 1;
      guest.layout().pageAt(seen.pageGpa()).ifPresent(page -> visits.merge(page, 1, Integer::sum));
    }
    compareVisits(guest, lost, visits, faults);
    comparePasses(reports, guest, sourceFile, lost, faults);
    return new Witness(reports.losses().size(), wrong, faults);
  }

  /**
   * What a guest said, in the order of the logs.
   *
   * @param logs guest logs of daemons
   */
  static WalkerReports reports(List<Path> logs) throws IOException {
    WalkerReports reports = new WalkerReports();
    for (Path log : logs) {
      for (String line : Files.readAllLines(log)) {
        read(line.split(" "), reports);
      }
    }
    return reports;
  }

  /** A word of a vCPU, or one that it said aside. */
  static void read(String[] words, WalkerReports reports) {
    boolean aside = words[0].equals("aside");
    int vcpu = Integer.parseInt(words[aside ? 1 : 0]);
    int value = Integer.parseUnsignedInt(words[aside ? 2 : 1].substring(2), 16);
    if (aside) {
      reports.onAside(vcpu, value);
    } else {
      reports.onWord(vcpu, value);
    }
  }

  /** Whether the guest read what it should have been told. */
  static boolean isRight(WalkerReports.LossSeen seen) {
    return seen instanceof WalkerReports.MachineCheckSeen check
        ? isRight(check)
        : isRight((WalkerReports.AbortSeen) seen);
  }

  /** The address in the bank, and an uncorrected, recoverable error with a valid address. */
  private static boolean isRight(WalkerReports.MachineCheckSeen seen) {
    boolean valid = (seen.status() >>> 63 & 1) == 1;
    boolean uncorrected = (seen.status() >>> 61 & 1) == 1;
    boolean addressValid = (seen.status() >>> 58 & 1) == 1;
    boolean contextCorrupt = (seen.status() >>> 57 & 1) == 1;
    return valid
        && uncorrected
        && addressValid
        && !contextCorrupt
        && seen.misc() == PHYSICAL_PAGE
        && Pages.align(seen.addr()) == seen.pageGpa();
  }

  /** The address of the load, and a synchronous external abort of EL1's own data access. */
  private static boolean isRight(WalkerReports.AbortSeen seen) {
    return seen.esr() == EXTERNAL_DATA_ABORT && Pages.align(seen.far()) == seen.pageGpa();
  }

  /** Each lost page twice, no healthy page ever. */
  private static void compareVisits(
      WalkerGuest guest, PageSet lost, Map<Long, Integer> visits, List<String> faults) {
    lost.forEach(
        page -> {
          int times = visits.getOrDefault(page, 0);
          if (times != PASSES) {
            faults.add(
                "lost page at 0x%x was met %d times, not %d"
                    .formatted(guest.layout().addressOf(page), times, PASSES));
          }
        });
    visits.forEach(
        (page, times) -> {
          if (!lost.contains(page)) {
            faults.add(
                "healthy page at 0x%x was met as lost %d times"
                    .formatted(guest.layout().addressOf(page), times));
          }
        });
  }

  private static void comparePasses(
      WalkerReports reports,
      WalkerGuest guest,
      FileChannel sourceFile,
      PageSet lost,
      List<String> faults)
      throws IOException {
    int expected = PASSES * guest.orders().size();
    if (reports.passes().size() != expected) {
      faults.add("%d walks ended, not %d".formatted(reports.passes().size(), expected));
    }
    Map<Integer, Long> sums = new HashMap<>();
    for (int vcpu = 0; vcpu < guest.orders().size(); vcpu++) {
      sums.put(vcpu, guest.expectedSum(sourceFile, vcpu, lost));
    }
    for (WalkerReports.PassDone pass : reports.passes()) {
      if (pass.sum() != sums.get(pass.vcpu())) {
        faults.add(
            "vCPU %d, walk %d: checksum %016x, the source's bytes give %016x"
                .formatted(pass.vcpu(), pass.pass(), pass.sum(), sums.get(pass.vcpu())));
      }
    }
  }

  /** Reads the log of threads: thread, page, whether it was lost, hash. */
  static Witness ofThreads(Path log, WalkerGuest guest, FileChannel sourceFile, PageSet lost)
      throws IOException {
    List<String> faults = new ArrayList<>();
    Map<Long, Integer> visits = new HashMap<>();
    long[] reads = {0};
    for (String line : Files.readAllLines(log)) {
      String[] words = line.split(" ");
      long page = Long.parseLong(words[1]);
      if (Boolean.parseBoolean(words[2])) {
        visits.merge(page, 1, Integer::sum);
      } else {
        reads[0]++;
        compareHash(guest, sourceFile, page, Long.parseUnsignedLong(words[3], 16), faults);
      }
    }
    long expected = PASSES * (guest.layout().pageCount() - lost.size());
    if (reads[0] != expected) {
      faults.add("%d healthy pages were read, not %d".formatted(reads[0], expected));
    }
    compareVisits(guest, lost, visits, faults);
    return new Witness(visits.values().stream().mapToLong(Integer::longValue).sum(), 0, faults);
  }

  private static void compareHash(
      WalkerGuest guest, FileChannel sourceFile, long page, long hash, List<String> faults)
      throws IOException {
    if (hash != guest.expectedHash(sourceFile, page)) {
      faults.add(
          "page at 0x%x: hash %016x, the source's bytes give %016x"
              .formatted(
                  guest.layout().addressOf(page), hash, guest.expectedHash(sourceFile, page)));
    }
  }
}
