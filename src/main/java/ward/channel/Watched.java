package ward.channel;

/** Something that a {@link Lookout} looks after. Every call but the first two is its thread's. */
public interface Watched {

  /** Nothing to look after. */
  Watched OVER =
      new Watched() {
        @Override
        public int descriptor() {
          throw new IllegalStateException("it is over");
        }

        @Override
        public boolean isOver() {
          return true;
        }

        @Override
        public boolean look() {
          return false;
        }
      };

  /** What can be read when there is something to be seen; the same until {@link #left()}. */
  int descriptor();

  /** Whether there will never be anything again. */
  boolean isOver();

  /**
   * Deals with what there is, without waiting for anything.
   *
   * @return whether there was anything
   */
  boolean look();

  /** Nobody looks any more; the last call. */
  default void left() {}
}
