package ward.guest;

/** What a guest's RAM is made of on this host. */
public enum MemoryKind {
  /** Private anonymous memory: nobody but this process can have a part in it. */
  ANONYMOUS(1),
  /**
   * A memfd, mapped shared. Bytes are written into the file by a second mapping, and the guest's
   * mapping is told to take them from there ({@code UFFDIO_CONTINUE}).
   *
   * <p>Poison is in the guest's mapping alone: through any other mapping of the same file a lost
   * page reads as what the file has there, zeros as a rule.
   */
  MEMFD(1),
  /**
   * A memfd of huge pages (hugetlbfs), 2 MiB each, mapped twice as {@link #MEMFD} is. The guest
   * gets a huge page when all of its 512 pages have come, and loses it as a whole.
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
