package ward.testbed;

import ward.vcpu.TouchPlan.Touch;

/**
 * What one side did once.
 *
 * @param touches in the order of the plan; none where nothing was asked for on demand
 * @param streamMebibytesPerSecond of guest memory, zeros included; 0 where nothing was streamed
 * @param poisonNanos for the whole map, from its first byte to the word that all of it is marked; 0
 *     where there is none
 * @param askedNanos the same from the moment somebody asked for the guest, until that word is on
 *     disk; 0 where nobody asks
 * @param mapBytes of the map on the wire; 0 where none goes over it
 * @param collapsed what became of small pages; null where nothing made huge ones of them
 */
record BenchRound(
    Touch[] touches,
    double streamMebibytesPerSecond,
    long poisonNanos,
    long askedNanos,
    long mapBytes,
    Collapsed collapsed) {

  /**
   * Huge pages that were made of memory.
   *
   * @param hugeBytesBefore how much lay in huge pages before; NaN where nobody looked
   * @param hugeBytesAfter and afterwards
   */
  record Collapsed(long nanos, double hugeBytesBefore, long hugeBytesAfter) {}

  /** No poison map went over the wire. */
  BenchRound(Touch[] touches, double streamMebibytesPerSecond, long poisonNanos) {
    this(touches, streamMebibytesPerSecond, poisonNanos, 0, 0, null);
  }
}
