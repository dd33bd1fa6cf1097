package ward.guest;

/** What a guest's RAM is made of on this host. */
public enum MemoryKind {
  /** Private anonymous memory: nobody but this process can have a part in it. */
  ANONYMOUS(1),
  /**
   * A memfd, mapped shared, and a second time where nothing waits. The kernel makes the file's
   * pages where the guest has them mapped; those that the file has already are written by the
   * second mapping, and the guest's is told to take them from there ({@code UFFDIO_CONTINUE}).
   *
   * <p>Poison is in the guest's mapping alone: through any other mapping of the same file a lost
   * page reads as what the file has there, zeros as a rule.
   */
  MEMFD(1),
  /**
   * A memfd of huge pages (hugetlbfs), 2 MiB each, mapped twice as {@link #MEMFD} is, and written
   * by its second mapping. The guest gets a huge page when all of its 512 pages have come, and
   * loses it as a whole.
   */
  HUGETLB(512);

  private final int unitPages;

  MemoryKind(int unitPages) {
    this.unitPages = unitPages;
  }

  /** Pages of 4 KiB that the guest gets, or loses, together. */
  public int unitPages() {
    return unitPages;
  }
}
