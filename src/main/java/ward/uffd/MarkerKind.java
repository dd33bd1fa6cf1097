package ward.uffd;

/**
 * What makes a lost page raise SIGBUS, best first. Whatever the kind, a touch of the page is
 * answered by SIGBUS, a system call that reads it by {@code EFAULT}, and never by bytes.
 */
public enum MarkerKind {
  /**
   * {@code UFFDIO_POISON}: an entry in the page table and nothing else.
   *
   * @see <a
   *     href="https://man7.org/linux/man-pages/man2/UFFDIO_POISON.2const.html">UFFDIO_POISON</a>
   */
  UFFD("UFFDIO_POISON: a marker in the page table"),

  /**
   * One page of this host, which {@code MADV_HWPOISON} takes out of use for good, stands in the
   * place of every lost page. A touch raises {@code BUS_MCEERR_AR}, under KVM too.
   *
   * @see <a href="https://man7.org/linux/man-pages/man2/madvise.2.html">madvise(2),
   *     MADV_HWPOISON</a>
   */
  HWPOISON("MADV_HWPOISON: one page of this host, lost for good, stands for every lost page"),

  /**
   * A file that is empty, and sealed so that it stays so, stands in the place of every lost page. A
   * touch raises {@code BUS_ADRERR}; KVM tells its user {@code EFAULT} and no address.
   *
   * @see <a href="https://man7.org/linux/man-pages/man2/mmap.2.html">mmap(2), SIGBUS</a>
   */
  SIGBUS("SIGBUS: a mapping behind the end of a sealed, empty file");

  private final String description;

  MarkerKind(String description) {
    this.description = description;
  }

  /** How it is done, for people. */
  public String description() {
    return description;
  }
}
