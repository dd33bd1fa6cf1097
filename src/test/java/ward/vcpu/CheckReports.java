package ward.vcpu;

import java.util.ArrayList;
import java.util.List;

/** What the guest program {@code checks} says. */
final class CheckReports implements ReportListener {

  private static final int TAG_CHECK = 0x57440010;
  private static final int TAG_END = 0x57440011;

  /** The registers that the guest read in its handler. */
  record Seen(long mcgStatus, long status, long address, long misc) {}

  private final List<Integer> words = new ArrayList<>();
  private final List<Seen> checks = new ArrayList<>();
  private final List<Long> ends = new ArrayList<>();
  private final List<Integer> unknown = new ArrayList<>();

  @Override
  public synchronized void onWord(int vcpu, int value) {
    words.add(value);
    if (words.get(0) == TAG_CHECK && words.size() == 9) {
      checks.add(new Seen(wide(1), wide(3), wide(5), wide(7)));
      words.clear();
    } else if (words.get(0) == TAG_END && words.size() == 3) {
      ends.add(wide(1));
      words.clear();
    } else if (words.get(0) != TAG_CHECK && words.get(0) != TAG_END) {
      unknown.add(value);
      words.clear();
    }
  }

  private long wide(int low) {
    return Integer.toUnsignedLong(words.get(low)) | (long) words.get(low + 1) << 32;
  }

  synchronized List<Seen> checks() {
    return List.copyOf(checks);
  }

  /** How many machine checks the guest says it has taken, once it switches itself off. */
  synchronized List<Long> ends() {
    return List.copyOf(ends);
  }

  /** Words of an exception that should not be; empty in a good run. */
  synchronized List<Integer> unknown() {
    return List.copyOf(unknown);
  }
}
