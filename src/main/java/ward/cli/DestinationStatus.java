package ward.cli;

import java.util.ArrayList;
import java.util.List;
import ward.destination.CollapseReport;
import ward.destination.DestinationReport;
import ward.destination.DestinationSession;
import ward.guest.Guest;
import ward.guest.GuestMemory;
import ward.metrics.DestinationMetrics;
import ward.metrics.Trouble;
import ward.uffd.MarkerKind;
import ward.wire.Peer;

/**
 * What {@code ward control status} says of a destination, and what it prints at the end.
 *
 * @param session a UUID, the same over all connections
 * @param attempt how often they were begun
 * @param cancelling whether an operator's `ward cancel` waits until the source knows
 * @param lastError null while nothing went wrong
 * @param waiters threads that wait for a page now
 * @param vcpu what touches the memory: {@code kvm}, {@code thread}, or the {@code owner} of it
 * @param marker how lost pages are marked: {@code uffd}, {@code hwpoison} or {@code sigbus}
 * @param damagedAnswers answers whose checksum was wrong; nothing of them was placed
 * @param pagesAskedAgain pages that were asked for again because of it
 * @param machineChecksInjected how often vCPUs were told of a loss that they had met or the host
 *     had found
 * @param announcedPages lost pages that the guest was told of before it met them
 * @param collapse what came of making huge pages; null while nothing has
 * @param memoryErrors how the guest heard of its losses, the latest of them
 * @param regions where the guest's memory is mapped, in this process or in its owner
 * @param onward how far the guest is on its way to the next destination; null while it is not
 *     offered
 */
record DestinationStatus(
    String role,
    String phase,
    String vcpu,
    String marker,
    boolean guestEnded,
    String session,
    int attempt,
    Peer peer,
    boolean cancelling,
    Trouble lastError,
    DestinationReport pages,
    DestinationMetrics.Waiting waiters,
    DestinationMetrics.Faults faults,
    DestinationMetrics.Breaks breaks,
    double streamMebibytesPerSecond,
    long streamedPages,
    long duplicatePages,
    long alreadyResolvedPages,
    long damagedAnswers,
    long pagesAskedAgain,
    long latePoisonedPages,
    long heldPages,
    long machineChecksInjected,
    long freshlyConsumed,
    long announcedPages,
    CollapseReport collapse,
    List<MemoryErrorLine> memoryErrors,
    List<Region> regions,
    SourceStatus onward) {

  /** A region's guest-physical address, length in bytes, and host-virtual address, hexadecimal. */
  record Region(String guestPhysicalAddress, long lengthBytes, String hostAddress) {}

  static DestinationStatus of(
      DestinationSession session,
      GuestBooks books,
      DestinationMetrics metrics,
      GuestChoice choice,
      MarkerKind marker,
      SourceStatus onward) {
    Guest guest = session.guest();
    return new DestinationStatus(
        "destination",
        session.phase().name(),
        choice.name(),
        MarkerCheck.optionOf(marker),
        guest != null && guest.exited().toCompletableFuture().isDone(),
        session.session().toString(),
        session.attempt(),
        session.peer(),
        session.isCancelling(),
        metrics.lastTrouble(),
        session.report(),
        metrics.waiting(),
        metrics.faults(),
        metrics.breaks(),
        metrics.streamMebibytesPerSecond(),
        metrics.streamedPages(),
        metrics.duplicatePages(),
        metrics.alreadyResolvedPages(),
        metrics.damagedAnswers(),
        metrics.pagesAskedAgain(),
        metrics.latePoisonedPages(),
        metrics.heldPages(),
        books.injected(),
        books.freshlyConsumed(),
        books.announced(),
        metrics.collapse(),
        books.events().stream().map(MemoryErrorLine::of).toList(),
        guest == null ? List.of() : regions(guest.memory()),
        onward);
  }

  private static List<Region> regions(GuestMemory memory) {
    List<Region> regions = new ArrayList<>();
    for (int i = 0; i < memory.layout().regions().size(); i++) {
      regions.add(
          new Region(
              "0x%x".formatted(memory.layout().regions().get(i).guestPhysicalAddress()),
              memory.layout().regions().get(i).lengthBytes(),
              "0x%x".formatted(memory.hostAddressOfRegion(i))));
    }
    return regions;
  }

  /** A few lines for people. */
  String summary() {
    return """
        guest %s is here: %,d pages, %,d with data, %,d zero, %,d poisoned
        %,d machine checks injected, %,d demand faults (p50 %.0f µs, p99 %.0f µs), stream %.0f MiB/s
        ledger %s"""
        .formatted(
            pages.guest(),
            pages.pagesTotal(),
            pages.pagesData(),
            pages.pagesZero(),
            pages.pagesPoisoned(),
            machineChecksInjected,
            faults.count(),
            faults.p50Micros(),
            faults.p99Micros(),
            streamMebibytesPerSecond,
            pages.ledger());
  }
}
