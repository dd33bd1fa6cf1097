package ward.poison;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.OptionalInt;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * Which pages of a guest are lost, on this host or on one the guest came from.
 *
 * <p>An entry is only ever added. A page stays lost until the guest itself gives it up: forgetting
 * an entry would hand the guest zeros or stale bytes in place of lost data, which is silent
 * corruption. The one exception is a page whose content had already reached the destination when
 * the source lost it, see {@link #markHeld}.
 *
 * <p>Frames are guest frame numbers: guest-physical address {@code >>> 12}. Safe for use by several
 * threads.
 */
public final class PoisonLedger {

  private final PoisonMap entries = new PoisonMap();
  private final PageSet lost = new PageSet();
  private final PageSet held = new PageSet();
  private final PageSet givenUp = new PageSet();
  private long changes;

  /**
   * Adds a loss. Adding it again is harmless, also after its pages were marked as held; another
   * entry about a held page, or about one that the guest gave up, is a new loss, and the page is
   * lost from then on.
   *
   * @return whether it was news: at least one page was not lost before. What is no news is not
   *     listed
   */
  public synchronized boolean record(PoisonEntry entry) {
    PageSet extent = framesOf(entry);
    extent.removeAll(lost);
    if (extent.isEmpty() || entries.contains(entry)) {
      return false;
    }
    changes++;
    entries.add(entry);
    lost.addAll(extent);
    held.removeAll(extent);
    givenUp.removeAll(extent);
    return true;
  }

  /** Those entries that {@link #record} would call news, were they recorded in this order. */
  synchronized List<PoisonEntry> newsAmong(List<PoisonEntry> candidates) {
    List<PoisonEntry> news = new ArrayList<>();
    PageSet pending = new PageSet();
    for (PoisonEntry entry : candidates) {
      PageSet extent = framesOf(entry);
      extent.removeAll(lost);
      extent.removeAll(pending);
      if (!extent.isEmpty() && !entries.contains(entry)) {
        news.add(entry);
        pending.addAll(extent);
      }
    }
    return news;
  }

  /** Adds losses that {@link #newsAmong(PoisonMap)} has called news. */
  synchronized void record(PoisonMap news) {
    changes++;
    entries.addAll(news);
    PageSet extents = news.frames();
    lost.addAll(extents);
    held.removeAll(extents);
    givenUp.removeAll(extents);
  }

  /** Those losses of which at least one page was not lost before. */
  synchronized PoisonMap newsAmong(PoisonMap candidates) {
    PoisonMap news = new PoisonMap();
    PageSet known = lost.copy();
    candidates.forEach(
        (common, extents) -> {
          PageSet fresh = common.framesOf(extents).copy();
          fresh.removeAll(known);
          PageSet some = common.extentsOf(fresh);
          entries.removeAll(common, some);
          news.add(common, some);
          known.addAll(common.framesOf(some));
        });
    return news;
  }

  private static PageSet framesOf(PoisonEntry entry) {
    PageSet frames = new PageSet();
    frames.add(
        new PageRun(
            entry.guestPhysicalAddress() >>> Pages.SHIFT, 1L << (entry.pageShift() - Pages.SHIFT)));
    return frames;
  }

  /**
   * Notes that the destination had copied these frames before they were lost here, so the guest's
   * pages are intact: they leave {@link #frames()} and the digest. The entries stay listed, because
   * the host's memory is still bad.
   *
   * @param frames those that are not lost are ignored
   * @return whether any of them was lost
   */
  public synchronized boolean markHeld(PageSet frames) {
    PageSet now = lostAmong(frames);
    changes++;
    held.addAll(now);
    lost.removeAll(now);
    return !now.isEmpty();
  }

  /**
   * Notes that the guest gave these frames back, a balloon for instance, and that the operator's
   * policy lets it have fresh memory there: nothing that it could miss is lost any more. They leave
   * {@link #frames()} and the digest; the entries stay listed.
   *
   * @param frames also those that are not lost here are remembered: the host that the guest goes to
   *     may know them as lost
   * @return whether any of them was news
   */
  public synchronized boolean giveUp(PageSet frames) {
    PageSet news = frames.copy();
    news.removeAll(givenUp);
    changes++;
    givenUp.addAll(news);
    held.removeAll(news);
    lost.removeAll(news);
    return !news.isEmpty();
  }

  synchronized PageSet lostAmong(PageSet frames) {
    PageSet among = lost.copy();
    among.retainAll(frames);
    return among;
  }

  /** Whether the byte at this guest-physical address is lost for the guest. */
  public synchronized boolean contains(long guestPhysicalAddress) {
    return lost.contains(guestPhysicalAddress >>> Pages.SHIFT);
  }

  /**
   * log2 of the size in bytes of the largest lost extent that this byte belongs to; empty if it is
   * not lost for the guest. An extent of which a part is held or given up counts page by page.
   */
  public synchronized OptionalInt extentAt(long guestPhysicalAddress) {
    return effectiveEntriesAt(guestPhysicalAddress).stream().mapToInt(PoisonEntry::pageShift).max();
  }

  /** The last entry that covers this byte, held or not; empty if there is none. */
  public synchronized Optional<PoisonEntry> entryAt(long guestPhysicalAddress) {
    List<PoisonEntry> covering = entries.covering(guestPhysicalAddress);
    return covering.isEmpty() ? Optional.empty() : Optional.of(covering.get(covering.size() - 1));
  }

  /** Those of {@link #effectiveEntries()} that cover this byte. */
  public synchronized List<PoisonEntry> effectiveEntriesAt(long guestPhysicalAddress) {
    PageSet untrue = untrue();
    if (untrue.contains(guestPhysicalAddress >>> Pages.SHIFT)) {
      return List.of();
    }
    return entries.covering(guestPhysicalAddress).stream()
        .map(
            entry ->
                isWhole(entry, untrue)
                    ? entry
                    : pageOf(entry, guestPhysicalAddress >>> Pages.SHIFT))
        .distinct()
        .toList();
  }

  private static boolean isWhole(PoisonEntry entry, PageSet untrue) {
    PageSet extent = framesOf(entry);
    extent.retainAll(untrue);
    return extent.isEmpty();
  }

  /** The frames that are lost for the guest; a copy. */
  public synchronized PageSet frames() {
    return lost.copy();
  }

  /** The frames that were lost on a host, but not for the guest; a copy. */
  public synchronized PageSet heldFrames() {
    return held.copy();
  }

  /** The frames that were lost once, and that the guest has given up since; a copy. */
  public synchronized PageSet givenUpFrames() {
    return givenUp.copy();
  }

  /**
   * Another number whenever it knows something else; what was computed of it may be out of date.
   */
  public synchronized long changes() {
    return changes;
  }

  /** How many frames are lost for the guest. */
  public synchronized long pageCount() {
    return lost.size();
  }

  /** Every entry, in order of address; a copy. */
  public synchronized List<PoisonEntry> entries() {
    return entries.entries();
  }

  /** Every entry, those next to each other in one; in order of address. */
  public synchronized List<PoisonMap.Run> runs() {
    return entries.runs();
  }

  /**
   * The entries that are true for the guest: those of frames that are held or given up are left
   * out, and an extent of which a part is so is listed page by page.
   */
  public List<PoisonEntry> effectiveEntries() {
    return effective().entries();
  }

  /** The same by what they have in common; a copy. */
  public synchronized PoisonMap effective() {
    return entries.without(untrue());
  }

  /** Frames that were lost, and are not lost for the guest. */
  private PageSet untrue() {
    PageSet untrue = held.copy();
    untrue.addAll(givenUp);
    return untrue;
  }

  private static PoisonEntry pageOf(PoisonEntry entry, long frame) {
    return new PoisonEntry(
        frame << Pages.SHIFT, PoisonEntry.MIN_PAGE_SHIFT, entry.severity(), entry.origin());
  }

  /** The fingerprint of {@link #frames()}. */
  public LedgerDigest digest() {
    return LedgerDigest.ofFrames(frames());
  }

  /** What only one of the two ledgers calls lost. */
  public LedgerDifference difference(PoisonLedger other) {
    // Copies, taken one after the other: two ledgers that compare themselves with each other at the
    // same time must not wait for each other's lock.
    PageSet here = frames();
    PageSet there = other.frames();
    PageSet onlyHere = here.copy();
    onlyHere.removeAll(there);
    there.removeAll(here);
    return new LedgerDifference(onlyHere, there);
  }

  @Override
  public synchronized String toString() {
    return "%d lost pages in %d entries, %d held, %d given up"
        .formatted(lost.size(), entries.size(), held.size(), givenUp.size());
  }
}
