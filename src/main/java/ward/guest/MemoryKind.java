package ward.guest;

/** What a guest's RAM is made of on this host. */
public enum MemoryKind {
  /** Private anonymous memory: nobody but this process can have a part in it. */
  ANONYMOUS,
  /**
   * A memfd, mapped shared. Bytes are written into the file by a second mapping, and the guest's
   * mapping is told to take them from there ({@code UFFDIO_CONTINUE}).
   *
   * <p>Poison is in the guest's mapping alone: through any other mapping of the same file a lost
   * page reads as what the file has there, zeros as a rule.
   */
  MEMFD
}
