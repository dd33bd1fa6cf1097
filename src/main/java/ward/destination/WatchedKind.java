package ward.destination;

import ward.guest.GuestMemory;
import ward.uffd.SecondMapping;
import ward.uffd.Userfaultfd;
import ward.uffd.Watcher;

/** Which ioctls bring the pages of a guest, by the kind of its memory. */
final class WatchedKind {

  private WatchedKind() {}

  static Watcher watcher(Userfaultfd userfaultfd, GuestMemory memory) {
    return switch (memory.kind()) {
      case ANONYMOUS -> userfaultfd;
      case HUGETLB -> userfaultfd.ofHugePages(second(memory));
      case MEMFD -> userfaultfd.ofSharedMemory(second(memory));
    };
  }

  private static SecondMapping second(GuestMemory memory) {
    return new SecondMapping() {
      @Override
      public long pageCount() {
        return memory.layout().pageCount();
      }

      @Override
      public long pageAt(long hostAddress) {
        return memory.pageOrNone(hostAddress);
      }

      @Override
      public long addressOf(long page) {
        return memory.secondAddressOf(page);
      }
    };
  }
}
