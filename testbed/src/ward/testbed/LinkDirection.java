package ward.testbed;

/** Which way bytes go on a {@link FaultyLink}. */
enum LinkDirection {
  /** From who dialled: Hello, requests, what a destination says. */
  TO_SOURCE,
  /** Pages, poison, what a source says. */
  TO_DESTINATION
}
