package ward.destination;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import jnr.constants.platform.Errno;
import ward.memory.Pages;
import ward.uffd.FillResult;
import ward.uffd.FillResult.Outcome;
import ward.uffd.PageFiller;

/**
 * A kernel that remembers what every page holds, and fails the test where the real one would
 * silently heal poison. Bytes are known by their source address alone.
 */
final class FakeFiller implements PageFiller {

  static final long BASE = 0x7f00_0000_0000L;
  static final long POISON = -1;
  static final long ZERO = 0;

  final Map<Long, Long> contents = new HashMap<>();
  final List<String> calls = new ArrayList<>();
  final List<Long> woken = new ArrayList<>();
  private final Deque<FillResult> answers = new ArrayDeque<>();
  Runnable beforeCall = () -> {};

  static FillResult answer(Outcome outcome, long donePages, Errno errno) {
    return new FillResult(outcome, Pages.bytes(donePages), errno.intValue());
  }

  /** What the next call answers instead of doing all of it; the pages done are done. */
  FakeFiller then(Outcome outcome, long donePages, Errno errno) {
    answers.add(answer(outcome, donePages, errno));
    return this;
  }

  @Override
  public synchronized FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
    return fill("copy", hostAddress, sourceAddress, lengthBytes);
  }

  @Override
  public synchronized FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
    return fill("take", hostAddress, sourceAddress, lengthBytes);
  }

  @Override
  public synchronized FillResult zero(long hostAddress, long lengthBytes) {
    return fill("zero", hostAddress, ZERO, lengthBytes);
  }

  @Override
  public synchronized FillResult poison(long hostAddress, long lengthBytes) {
    return fill("poison", hostAddress, POISON, lengthBytes);
  }

  @Override
  public synchronized void wake(long hostAddress, long lengthBytes) {
    for (long i = 0; i < lengthBytes >>> Pages.SHIFT; i++) {
      woken.add(pageAt(hostAddress) + i);
    }
  }

  private FillResult fill(String call, long hostAddress, long content, long lengthBytes) {
    long page = pageAt(hostAddress);
    long count = lengthBytes >>> Pages.SHIFT;
    calls.add("%s %d+%d".formatted(call, page, count));
    beforeCall.run();
    FillResult result =
        answers.isEmpty() ? new FillResult(Outcome.COMPLETED, lengthBytes, 0) : answers.remove();
    for (long i = 0; i < result.doneBytes() >>> Pages.SHIFT; i++) {
      place(page + i, content > 0 ? content + Pages.bytes(i) : content);
    }
    return result;
  }

  private void place(long page, long content) {
    Long before = contents.put(page, content);
    if (before != null && !(before == POISON && content == POISON)) {
      throw new AssertionError(
          "page %d held %s and was given %s".formatted(page, name(before), name(content)));
    }
    woken.add(page);
  }

  private static String name(long content) {
    return content == POISON ? "poison" : content == ZERO ? "zeros" : "bytes of " + content;
  }

  /** The guest gives a page back: nothing is there any more. */
  synchronized void drop(long page) {
    contents.remove(page);
  }

  static long pageAt(long hostAddress) {
    return (hostAddress - BASE) >>> Pages.SHIFT;
  }
}
