package ward.destination;

import java.util.List;

/**
 * The numbers of an incoming migration at one moment.
 *
 * @param guest the guest's identity; empty before it is known
 * @param pagesTotal pages of the guest; each of the next four counts pages once
 * @param unresolved pages that are neither in place nor poisoned
 * @param markers pages that really raise SIGBUS, by the audit; -1 before it
 * @param mismatches pages where the audit found something else than the page table says
 * @param ledger digest of the poison that this migration brought, hexadecimal; empty before
 * @param pauseNanos from the first connection to the guest's first instruction here; 0 before
 * @param totalNanos from the first connection to the source's letting go; 0 before
 */
public record DestinationReport(
    String guest,
    long pagesTotal,
    long pagesData,
    long pagesZero,
    long pagesPoisoned,
    long pagesGivenBack,
    long unresolved,
    long markers,
    List<String> mismatches,
    String ledger,
    long pauseNanos,
    long totalNanos) {

  static final DestinationReport NOTHING_YET =
      new DestinationReport("", 0, 0, 0, 0, 0, 0, -1, List.of(), "", 0, 0);

  static DestinationReport of(
      Arrival arrival, Audit.Finding finding, String ledger, long pauseNanos, long totalNanos) {
    PageCounts counts = arrival.resolver().counts();
    return new DestinationReport(
        arrival.layout().guest(),
        arrival.layout().pageCount(),
        counts.data(),
        counts.zero(),
        counts.poisoned(),
        counts.givenBack(),
        arrival.resolver().unresolved(),
        finding == null ? -1 : finding.markers(),
        finding == null ? List.of() : finding.mismatches(),
        ledger,
        pauseNanos,
        totalNanos);
  }
}
