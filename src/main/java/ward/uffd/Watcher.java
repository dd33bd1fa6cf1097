package ward.uffd;

import ward.memory.PageSet;

/** Watches the memory of a guest, and fills it in the way that its kind asks for. */
public interface Watcher extends PageFiller {

  /**
   * Makes the first touch of each missing page of a range wait for a fill.
   *
   * @param hostAddress host-virtual, a multiple of 4096, as is the length
   * @throws UserfaultfdException if the memory cannot be registered, or cannot be filled in this
   *     way
   */
  void register(long hostAddress, long lengthBytes) throws UserfaultfdException;

  /**
   * What can be neither had nor lost: huge pages of which a part is lost and a part is not, all
   * their pages.
   *
   * @return page indexes
   */
  default PageSet torn() {
    return new PageSet();
  }

  /**
   * Makes a huge page of the small ones of a range, all of which have their content. Whoever
   * touches it meanwhile waits in the kernel.
   *
   * @param hostAddress a multiple of 2 MiB, as is the length
   * @return never partial progress
   * @see <a href="https://man7.org/linux/man-pages/man2/madvise.2.html">madvise(2),
   *     MADV_COLLAPSE</a>
   */
  FillResult collapse(long hostAddress, long lengthBytes);
}
