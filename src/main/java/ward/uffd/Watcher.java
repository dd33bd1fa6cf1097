package ward.uffd;

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
}
