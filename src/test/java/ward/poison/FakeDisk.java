package ward.poison;

import java.io.IOException;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.List;
import java.util.Queue;
import java.util.Set;

/**
 * A disk with a cache: what is written is seen by readers at once, and survives a power failure
 * only once it is forced.
 */
final class FakeDisk implements JournalFile {

  enum Action {
    WRITE,
    FORCE,
    TRUNCATE
  }

  private byte[] cache;
  private byte[] platter;
  private final Queue<Set<Action>> failures = new ArrayDeque<>();
  private final Set<Action> failing = EnumSet.noneOf(Action.class);
  private Runnable onForce = () -> {};
  private boolean shortWrites;
  int forces;

  /** Offset and length of each write that went well. */
  final List<String> writes = new ArrayList<>();

  boolean closed;

  FakeDisk() {
    this(JournalFormat.header());
  }

  FakeDisk(byte[] content) {
    cache = content.clone();
    platter = content.clone();
  }

  /** These actions fail until {@link #recover()}. */
  void fail(Action... actions) {
    failing.addAll(Set.of(actions));
  }

  /** The next force fails, and only that one. */
  void failOneForce() {
    failures.add(Set.of(Action.FORCE));
  }

  /** Writes fail after half of the bytes, as on a full disk. */
  void failInTheMiddleOfWrites() {
    shortWrites = true;
  }

  void recover() {
    failing.clear();
    shortWrites = false;
  }

  void onForce(Runnable action) {
    onForce = action;
  }

  /** What is left after a power failure. */
  byte[] afterPowerFailure() {
    return platter.clone();
  }

  @Override
  public byte[] read() {
    return cache.clone();
  }

  @Override
  public void write(long offset, byte[] bytes) throws IOException {
    failIf(Action.WRITE);
    int written = shortWrites ? bytes.length / 2 : bytes.length;
    cache = Arrays.copyOf(cache, Math.max(cache.length, (int) offset + written));
    System.arraycopy(bytes, 0, cache, (int) offset, written);
    if (shortWrites) {
      throw new IOException("No space left on device");
    }
    writes.add(offset + "+" + written);
  }

  @Override
  public void force() throws IOException {
    Set<Action> once = failures.poll();
    if (once != null && once.contains(Action.FORCE)) {
      throw new IOException("Input/output error");
    }
    failIf(Action.FORCE);
    onForce.run();
    platter = cache.clone();
    forces++;
  }

  @Override
  public void truncate(long lengthBytes) throws IOException {
    failIf(Action.TRUNCATE);
    cache = Arrays.copyOf(cache, (int) lengthBytes);
  }

  private void failIf(Action action) throws IOException {
    if (failing.contains(action)) {
      throw new IOException("Input/output error");
    }
  }

  @Override
  public void close() {
    closed = true;
  }
}
