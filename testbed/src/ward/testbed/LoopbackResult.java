package ward.testbed;

import java.util.List;

/**
 * What a loopback migration proved, and what it measured.
 *
 * @param guestRan whether a virtual machine ran; otherwise threads touched the memory
 * @param guestMoved whether it ran at the source first, and went on at the destination
 * @param marker how the destination marked lost pages
 * @param wrongPages healthy pages whose bytes differ from the source's; must be 0
 * @param faults demand faults, from reading the event to the end of the ioctl that resolved it
 * @param pauseMillis from the destination's first connection to the guest's first instruction there
 * @param totalMillis from there to the source's letting go
 * @param failures why the run failed, a line each; empty if it did not
 */
public record LoopbackResult(
    String transport,
    String vcpu,
    String marker,
    boolean guestRan,
    boolean guestMoved,
    long memoryBytes,
    long seed,
    long pagesTotal,
    long pagesData,
    long pagesZero,
    long pagesPoisoned,
    PoisonExpected poisonExpected,
    MachineChecks machineChecks,
    long wrongPages,
    long healedPages,
    String digestSource,
    String digestDestination,
    Audit audit,
    Faults faults,
    Stream stream,
    double pauseMillis,
    double totalMillis,
    List<String> failures) {

  /**
   * @param late reported while serving, and poisoned
   * @param lateHeld reported while serving, but copied before: the page must be intact
   */
  public record PoisonExpected(long declared, long found, long late, long lateHeld) {}

  /**
   * @param injected by the destination; 0 where threads take SIGBUS themselves
   * @param seenByGuest by its handler, or SIGBUSes taken by threads
   */
  public record MachineChecks(long injected, long seenByGuest, long wrongAddress) {}

  /**
   * @param ledgerSource digest of the ledger on the source's disk
   * @param markers really in the destination's page tables
   */
  public record Audit(String ledgerSource, String ledgerDestination, long markers, boolean equal) {}

  public record Faults(long count, double p50Micros, double p99Micros, double maxMicros) {}

  public record Stream(long pages, double mebibytesPerSecond) {}

  public boolean passed() {
    return failures.isEmpty();
  }

  private String proof() {
    return guestMoved
        ? "one unbroken walk over two hosts, every poisoned page met in every pass, no healthy page ever"
        : "every poisoned page was met twice, no healthy page ever was";
  }

  /** A few lines for people. */
  public String summary() {
    return """
        network         %s
        guest           %s, %,d MiB, seed %d
        pages           %,d: %,d with data, %,d zero, %,d poisoned
        poison          %d declared, %d found unreadable, %d reported while serving%s
        machine checks  %,d injected, %,d seen by the guest, %d at a wrong address
        compared        %,d wrong pages, %,d healed; digest %s... = %s...
        audit           ledgers %s, %,d markers (%s), %s
        faults          %,d on demand: p50 %.0f µs, p99 %.0f µs, worst %.0f µs
        stream          %,d pages, %.0f MiB/s
        time            paused %.0f ms, all %.0f ms
        %s"""
        .formatted(
            transport,
            guestRan
                ? "a KVM virtual machine" + (guestMoved ? " that ran at the source first" : "")
                : "NO GUEST RAN: native threads touched its memory",
            memoryBytes >> 20,
            seed,
            pagesTotal,
            pagesData,
            pagesZero,
            pagesPoisoned,
            poisonExpected.declared(),
            poisonExpected.found(),
            poisonExpected.late(),
            poisonExpected.lateHeld() == 0
                ? ""
                : ", %d more copied before their loss".formatted(poisonExpected.lateHeld()),
            machineChecks.injected(),
            machineChecks.seenByGuest(),
            machineChecks.wrongAddress(),
            wrongPages,
            healedPages,
            digestSource.substring(0, 12),
            digestDestination.substring(0, 12),
            audit.ledgerSource().equals(audit.ledgerDestination()) ? "agree" : "DIFFER",
            audit.markers(),
            marker,
            audit.equal() ? "equal" : "NOT EQUAL",
            faults.count(),
            faults.p50Micros(),
            faults.p99Micros(),
            faults.maxMicros(),
            stream.pages(),
            stream.mebibytesPerSecond(),
            pauseMillis,
            totalMillis,
            passed() ? "PASSED: " + proof() : "FAILED: " + String.join("\n        ", failures));
  }
}
