package ward.source;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.List;
import java.util.Queue;

/** Turns that are taken when a test says so, by a clock of its own. */
final class FakeTurns implements BackgroundStream.Turns {

  private record Timer(long atMillis, Runnable turn) {}

  private final Queue<Runnable> next = new ArrayDeque<>();
  private final List<Timer> timers = new ArrayList<>();
  private long nowMillis;

  @Override
  public void take(Runnable turn) {
    next.add(turn);
  }

  @Override
  public void later(Runnable turn, long delayMillis) {
    timers.add(new Timer(nowMillis + delayMillis, turn));
  }

  long nowMillis() {
    return nowMillis;
  }

  void takeOne() {
    next.remove().run();
  }

  void takeAll() {
    while (!next.isEmpty()) {
      takeOne();
    }
  }

  /** Those that are due then have their turn. */
  void passMillis(long millis) {
    nowMillis += millis;
    List<Timer> due = timers.stream().filter(timer -> timer.atMillis() <= nowMillis).toList();
    timers.removeAll(due);
    due.forEach(timer -> next.add(timer.turn()));
    takeAll();
  }
}
