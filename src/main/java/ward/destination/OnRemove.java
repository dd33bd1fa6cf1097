package ward.destination;

/** What becomes of a lost page that the guest itself gives back ({@code UFFD_EVENT_REMOVE}). */
public enum OnRemove {
  /**
   * It stays lost; its next touch raises SIGBUS again.
   *
   * <p>The default. That a page was given back says only that somebody did not want its content at
   * that moment. A guest that has heard of the loss takes the page out of use by itself and has no
   * reason to give it back; one that has not heard of it may give it back by mistake, or read it
   * again in the belief that it is as it was. An error that is reported once too often costs a
   * process; zeros in place of data that somebody still counted on cost the data, silently.
   */
  KEEP,
  /**
   * It is fresh memory: its next touch reads zeros. The guest has declared its content void, and
   * the memory behind it is this host's, which is healthy. The ledger says so before.
   */
  UNPOISON
}
