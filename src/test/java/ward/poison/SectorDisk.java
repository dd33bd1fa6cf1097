package ward.poison;

import java.io.IOException;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Random;

/**
 * A disk of sectors behind a cache, as unhelpful as a real one: what is not forced may reach it in
 * any order, or not at all; and a force that fails leaves sectors that count as clean in the cache
 * and never reached the disk.
 */
final class SectorDisk implements JournalFile {

  static final int NOTHING = 0;
  static final int WRITE = 1;
  static final int FORCE = 2;

  private static final int SECTOR_BYTES = 512;

  private final Random random;
  private final BitSet dirty = new BitSet();
  private final BitSet unforced = new BitSet();
  private byte[] cache = JournalFormat.header();
  private byte[] platter = JournalFormat.header();
  private Runnable onStep = () -> {};
  private int failing = NOTHING;

  SectorDisk(Random random) {
    this.random = random;
  }

  /** Runs between any two things that the disk does. */
  void onStep(Runnable step) {
    onStep = step;
  }

  /** What fails from now on. */
  void failNow(int what) {
    failing = what;
  }

  /** What is there when the power comes back; another draw each time. */
  byte[] afterPowerFailure() {
    byte[] left = Arrays.copyOf(platter, random.nextBoolean() ? cache.length : platter.length);
    dirty.stream().filter(sector -> random.nextBoolean()).forEach(sector -> write(sector, left));
    return left;
  }

  /** Written since the last force that succeeded. */
  int unforcedSectors() {
    return unforced.cardinality();
  }

  private void write(int sector, byte[] into) {
    int from = sector * SECTOR_BYTES;
    int length = Math.min(SECTOR_BYTES, Math.min(cache.length, into.length) - from);
    if (length > 0) {
      System.arraycopy(cache, from, into, from, length);
    }
  }

  @Override
  public byte[] read() {
    return cache.clone();
  }

  @Override
  public void write(long offset, byte[] bytes) throws IOException {
    int length = failing == WRITE ? random.nextInt(bytes.length) : bytes.length;
    cache = Arrays.copyOf(cache, Math.max(cache.length, (int) offset + length));
    System.arraycopy(bytes, 0, cache, (int) offset, length);
    if (length > 0) {
      int end = ((int) offset + length - 1) / SECTOR_BYTES + 1;
      dirty.set((int) offset / SECTOR_BYTES, end);
      unforced.set((int) offset / SECTOR_BYTES, end);
    }
    onStep.run();
    if (failing == WRITE) {
      throw new IOException("No space left on device");
    }
  }

  @Override
  public void force() throws IOException {
    onStep.run();
    if (failing == FORCE) {
      platter = afterPowerFailure();
      dirty.clear();
      throw new IOException("Input/output error");
    }
    byte[] forced = Arrays.copyOf(platter, cache.length);
    dirty.stream().forEach(sector -> write(sector, forced));
    platter = forced;
    dirty.clear();
    unforced.clear();
  }

  @Override
  public void truncate(long lengthBytes) {
    if (lengthBytes < cache.length) {
      cache = Arrays.copyOf(cache, (int) lengthBytes);
    }
    onStep.run();
  }

  @Override
  public void close() {
    // Nothing to let go of.
  }
}
