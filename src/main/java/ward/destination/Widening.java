package ward.destination;

import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.ControlMessage;

/**
 * Huge pages of which a part is lost, and that can therefore be neither given to the guest nor
 * marked: the source is asked to take the rest of them for lost. What it then says, and what both
 * ledgers say, is as of any other late loss.
 *
 * <p>Asked only once the guest has run here: until then it may go on at the source, with the rest.
 * Nothing is seen of such a huge page meanwhile.
 *
 * <p>Confined to the session's thread.
 */
final class Widening {

  private final HugeLoss policy;
  private final String host;
  private final Course course;
  private final SourceContact contact;
  private final DestinationListener listener;
  private PageSet told = new PageSet(); // page indexes

  Widening(
      DestinationSettings settings,
      Course course,
      SourceContact contact,
      DestinationListener listener) {
    this.policy = settings.hugeLoss();
    this.host = settings.host();
    this.course = course;
    this.contact = contact;
    this.listener = listener;
  }

  /** Whether there is a huge page that nothing can be done with yet. */
  boolean isWaitedFor() {
    return !course.arrival().torn().isEmpty();
  }

  /** After a break: what was said may not have been heard. */
  void askAgain() {
    told = new PageSet();
    ask();
  }

  /**
   * For what is torn and has not been asked for; between a break and the source's word that all is
   * well again nothing is asked, but afterwards.
   */
  void ask() {
    if (!course.hasRun() || course.isOver() || course.is(DestinationPhase.RECOVERING)) {
      return;
    }
    PageSet torn = course.arrival().torn();
    torn.removeAll(told);
    if (torn.isEmpty()) {
      return;
    }
    told.addAll(torn);
    List<PoisonEntry> entries = entries(torn);
    if (policy == HugeLoss.WIDEN) {
      listener.widened(entries);
      ControlMessage.cut(entries, ControlMessage.ENTRIES_MAX)
          .forEach(part -> contact.send(new ControlMessage.ReportPoison(part)));
    } else {
      entries.forEach(entry -> listener.trouble(unresolvable(entry)));
    }
  }

  private static String unresolvable(PoisonEntry entry) {
    return "a part of the huge page at guest-physical address 0x%x is lost, and this memory can only lose all of it: it stays unresolved, whoever touches it waits, and the migration cannot end. --huge-loss widen takes the whole of it for lost; --memory memfd loses no more than is lost"
        .formatted(entry.guestPhysicalAddress());
  }

  private List<PoisonEntry> entries(PageSet torn) {
    int unitPages = course.arrival().unitPages();
    int shift = Pages.SHIFT + Integer.numberOfTrailingZeros(unitPages);
    Origin origin = new Origin(host, Instant.now(), Origin.Discovery.REPORTED);
    List<PoisonEntry> entries = new ArrayList<>();
    torn.forEachRun(
        run -> {
          for (long page = run.firstPage(); page < run.endPage(); page += unitPages) {
            entries.add(
                new PoisonEntry(
                    course.arrival().layout().addressOf(page),
                    shift,
                    Severity.ACTION_REQUIRED,
                    origin));
          }
        });
    return entries;
  }

  /**
   * Why a guest of which these pages are lost is not taken; empty if it is.
   *
   * @param lost page indexes
   */
  static String objection(PageSet lost, int unitPages) {
    long[] torn = {0};
    lost.forEachRun(run -> torn[0] += partial(run, unitPages));
    return torn[0] == 0
        ? ""
        : "%d pages of 4 KiB are lost in huge pages of which the rest is intact; this memory consists of huge pages of %d KiB, which are lost as a whole. --huge-loss widen takes that for granted, --memory anonymous or memfd loses no more than is lost"
            .formatted(torn[0], Pages.bytes(unitPages) >> 10);
  }

  private static long partial(PageRun run, int unitPages) {
    long firstWhole = (run.firstPage() + unitPages - 1) / unitPages * unitPages;
    long endWhole = Math.max(firstWhole, run.endPage() / unitPages * unitPages);
    return endWhole == firstWhole ? run.pageCount() : run.pageCount() - (endWhole - firstWhole);
  }
}
