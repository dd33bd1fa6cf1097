package ward.uffd;

import ward.memory.Pages;

/** One watched range at 0x40000000, and the same pages at 0x80000000. */
record SecondMappings(long pageCount) implements SecondMapping {

  static final long WATCHED = 0x4000_0000L;
  static final long SECOND = 0x8000_0000L;

  static long watched(long page) {
    return WATCHED + Pages.bytes(page);
  }

  @Override
  public long pageAt(long hostAddress) {
    return (hostAddress - WATCHED) >>> Pages.SHIFT;
  }

  @Override
  public long addressOf(long page) {
    return SECOND + Pages.bytes(page);
  }
}
