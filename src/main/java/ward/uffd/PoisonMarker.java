package ward.uffd;

import java.io.IOException;
import java.util.function.LongPredicate;

/**
 * Makes lost pages stay lost, in one of the ways that this host offers. Safe for several threads.
 *
 * <p>The page must have no content: it is the caller's record that says so, not the kernel. At no
 * moment between the call and its end can a thread read zeros from the page.
 *
 * <p>Closing ends the making of markers. Those that are placed stay.
 */
public abstract sealed class PoisonMarker implements AutoCloseable
    permits MarkerEntry, MarkerMapping, HugeMarker {

  PoisonMarker() {}

  public abstract MarkerKind kind();

  /** Marks a range that a userfaultfd watches, and wakes whoever faulted on it. */
  abstract FillResult place(Userfaultfd watcher, long hostAddress, long lengthBytes);

  /**
   * Which pages are marked although their page table entries are empty.
   *
   * @return asked with host-virtual addresses of pages; as of now, as the kernel tells it
   */
  abstract LongPredicate withoutEntry() throws IOException;

  @Override
  public abstract void close();
}
