package ward.poison;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.BiConsumer;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * Many losses, each once: for all that have their {@link Circumstances} in common one set of
 * extents. Most of a million losses were found in one go, and a run of them costs a few bytes here,
 * on the wire and in the journal.
 *
 * <p>Equal if the losses are, whatever the order in which they came. Not safe for use by several
 * threads.
 */
public final class PoisonMap {

  /** By address first. */
  static final Comparator<PoisonEntry> IN_ORDER =
      Comparator.comparingLong(PoisonEntry::guestPhysicalAddress)
          .thenComparingInt(PoisonEntry::pageShift)
          .thenComparing(PoisonEntry::severity)
          .thenComparing(entry -> entry.origin().time())
          .thenComparing(entry -> entry.origin().host())
          .thenComparing(entry -> entry.origin().discovery());

  private final Map<Circumstances, PageSet> extents = new LinkedHashMap<>();

  /** Those of a list; what is in it twice is here once. */
  public static PoisonMap of(List<PoisonEntry> entries) {
    PoisonMap map = new PoisonMap();
    entries.forEach(map::add);
    return map;
  }

  /** Adds a loss. */
  public void add(PoisonEntry entry) {
    extentsFor(Circumstances.of(entry)).add(entry.guestPhysicalAddress() >>> entry.pageShift());
  }

  /**
   * Adds losses of extents next to each other.
   *
   * @param run of extents, by number
   */
  public void add(Circumstances circumstances, PageRun run) {
    extentsFor(circumstances).add(run);
  }

  /**
   * Adds losses.
   *
   * @param some extents, by number
   */
  public void add(Circumstances circumstances, PageSet some) {
    if (!some.isEmpty()) {
      extentsFor(circumstances).addAll(some);
    }
  }

  /** Adds every loss of another map. */
  public void addAll(PoisonMap other) {
    other.extents.forEach(this::add);
  }

  private PageSet extentsFor(Circumstances circumstances) {
    return extents.computeIfAbsent(circumstances, key -> new PageSet());
  }

  boolean contains(PoisonEntry entry) {
    PageSet known = extents.get(Circumstances.of(entry));
    return known != null && known.contains(entry.guestPhysicalAddress() >>> entry.pageShift());
  }

  void removeAll(Circumstances circumstances, PageSet from) {
    PageSet known = extents.get(circumstances);
    if (known != null) {
      from.removeAll(known);
    }
  }

  public boolean isEmpty() {
    return extents.isEmpty();
  }

  /** How many losses there are. */
  public long size() {
    return extents.values().stream().mapToLong(PageSet::size).sum();
  }

  /** In how many different circumstances they came about. */
  public int circumstances() {
    return extents.size();
  }

  /**
   * Every loss.
   *
   * @param action given the numbers of the extents, not to be changed
   */
  public void forEach(BiConsumer<Circumstances, PageSet> action) {
    extents.forEach(action);
  }

  /** All that is lost, as guest frame numbers (guest-physical address {@code >>> 12}). */
  public PageSet frames() {
    PageSet frames = new PageSet();
    extents.forEach((common, some) -> frames.addAll(common.framesOf(some)));
    return frames;
  }

  /** Each loss by itself, in order of address. */
  public List<PoisonEntry> entries() {
    List<PoisonEntry> entries = new ArrayList<>();
    extents.forEach((common, some) -> some.forEach(extent -> entries.add(common.entry(extent))));
    entries.sort(IN_ORDER);
    return entries;
  }

  /**
   * Losses next to each other that have their circumstances in common.
   *
   * @param extents by number, see {@link Circumstances}
   */
  public record Run(Circumstances common, PageRun extents) {

    /** The first of them. */
    public PoisonEntry first() {
      return common.entry(extents.firstPage());
    }

    /** All of it as guest frames. */
    public PageRun frames() {
      return common.framesOf(extents);
    }
  }

  /** The losses as the fewest runs, in order of address. */
  public List<Run> runs() {
    List<Run> runs = new ArrayList<>();
    extents.forEach((common, some) -> some.forEachRun(run -> runs.add(new Run(common, run))));
    runs.sort(Comparator.comparing(Run::first, IN_ORDER));
    return runs;
  }

  /** Those that cover a byte, in order. */
  List<PoisonEntry> covering(long guestPhysicalAddress) {
    List<PoisonEntry> covering = new ArrayList<>();
    extents.forEach(
        (common, some) -> {
          long extent = guestPhysicalAddress >>> common.pageShift();
          if (some.contains(extent)) {
            covering.add(common.entry(extent));
          }
        });
    covering.sort(IN_ORDER);
    return covering;
  }

  /**
   * The same losses but for those of some guest frames; an extent of which only a part is left is
   * listed page by page. A new map.
   */
  public PoisonMap without(PageSet frames) {
    PoisonMap rest = new PoisonMap();
    extents.forEach(
        (common, some) -> {
          PageSet touched = common.framesOf(some).copy();
          touched.retainAll(frames);
          PageSet broken = common.extentsOf(touched);
          PageSet whole = some.copy();
          whole.removeAll(broken);
          rest.add(common, whole);
          if (common.pageShift() > Pages.SHIFT) {
            PageSet pages = common.framesOf(broken);
            pages.removeAll(frames);
            rest.add(common.ofPages(), pages);
          }
        });
    return rest;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof PoisonMap that && extents.equals(that.extents);
  }

  @Override
  public int hashCode() {
    return extents.hashCode();
  }

  @Override
  public String toString() {
    return "%d losses in %d circumstances".formatted(size(), circumstances());
  }
}
