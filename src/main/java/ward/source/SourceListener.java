package ward.source;

import ward.poison.PoisonEntry;

/** Hears what happens on the outgoing side. Called from several threads: it must not block. */
public interface SourceListener {

  /** The phase changed; the reason is for people. */
  default void onPhase(SourcePhase previous, SourcePhase next, String reason) {}

  /** Something went wrong that the migration survives; the text is for people. */
  default void trouble(String text) {}

  /** The guest has been offered; the first byte of its poison map goes out now. */
  default void mapBegun() {}

  /** The destination's word that it has applied the poison map has arrived. */
  default void mapAnswered() {}

  /** A demand fault was answered. */
  default void answered(long pages) {}

  /** Pages went out in the background. */
  default void streamed(long dataPages, long zeroPages) {}

  /** Poison became known while the guest was being served. */
  default void poisonLearnt(PoisonEntry entry) {}

  /** The destination had copied a page before it was lost here: it is intact there. */
  default void held(PoisonEntry entry) {}

  /** A page cannot be read, and it is not poison. */
  default void unreadable(long guestPhysicalAddress, String reason) {}
}
