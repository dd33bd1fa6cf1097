package ward.destination;

/**
 * Where requests for pages go: the urgent connection of the present attempt, or nowhere while there
 * is none. What goes nowhere is sent when the next connection is there ({@link
 * PageFaults#askAll()}).
 */
final class RequestLine {

  /** One connection, or none. */
  interface Line {
    /** Attempts count from 1; 0 while there is no connection. */
    int attempt();

    /**
     * @param request the first page's number, which its answer repeats; the next page has the next
     */
    void write(long request, long guestPhysicalAddress, int pageCount);

    void flush();
  }

  private record Open(SourceLink.Requests to, int attempt) implements Line {
    @Override
    public void write(long request, long guestPhysicalAddress, int pageCount) {
      to.write(request, guestPhysicalAddress, pageCount);
    }

    @Override
    public void flush() {
      to.flush();
    }
  }

  /** Requests wait where they are. */
  private static final Line NONE =
      new Line() {
        @Override
        public int attempt() {
          return 0;
        }

        @Override
        public void write(long request, long guestPhysicalAddress, int pageCount) {}

        @Override
        public void flush() {}
      };

  private volatile Line present = NONE;

  Line present() {
    return present;
  }

  void open(SourceLink.Requests to, int attempt) {
    present = new Open(to, attempt);
  }

  void close() {
    present = NONE;
  }

  void flush() {
    present.flush();
  }
}
