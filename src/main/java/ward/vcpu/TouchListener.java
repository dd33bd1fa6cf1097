package ward.vcpu;

/** Hears what the threads of a {@link ThreadGuestFactory} guest read. */
@FunctionalInterface
public interface TouchListener {

  /**
   * A page was read. Called on the reading thread, by several at once.
   *
   * @param thread from 0
   * @param page index
   * @param poisoned whether SIGBUS ended the read
   * @param hash of the page's 512 words, begun with its guest-physical address; 0 if poisoned
   */
  void onPage(int thread, long page, boolean poisoned, long hash);
}
