package ward.testbed;

/** Whose daemon something happens to. */
enum ChaosSide {
  SOURCE,
  DESTINATION
}
