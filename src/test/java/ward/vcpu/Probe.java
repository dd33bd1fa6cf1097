package ward.vcpu;

import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;

/** What {@code testbed/guest/probe.S} says of the one access that it makes. */
final class Probe implements ReportListener {

  /** The rows of the program's table. */
  enum Access {
    LOAD(0),
    STORE(1),
    ADD(2),
    LOCKED_ADD(3),
    EXCHANGE(4),
    PUSH(5),
    COMPARE_AND_EXCHANGE(6),
    COPY_OF_A_BYTE(7),
    COPY_OF_A_WORD(8),
    FETCH(9),
    REPEATED_COPY_OUT(10),
    REPEATED_COPY_IN(11),
    REPEATED_STORE(12),
    LOCKED_COMPARE_AND_EXCHANGE(13);

    final int number;

    Access(int number) {
      this.number = number;
    }

    boolean isRepeated() {
      return this == REPEATED_COPY_OUT || this == REPEATED_COPY_IN || this == REPEATED_STORE;
    }
  }

  static final long RAX = 0x1111111111111111L;
  static final int BYTES = 32;

  /** ZF and PF: what {@code xor} leaves. */
  static final int FLAGS = 0x44;

  private static final int ARITHMETIC = 0xcd5;
  private static final int TAG = 0x57440020;
  private static final int WORDS = 27;
  private static final int MACHINE_CHECK = 18;

  /**
   * @param ripOffset where the guest stands, from the access
   * @param rsi offset from the bytes or from the place
   * @param rdi offset from the bytes or from the place
   * @param bytes hexadecimal, in order of address
   */
  record Report(
      int vector,
      long ripOffset,
      long rax,
      long rcx,
      long rsi,
      long rdi,
      int flags,
      int mcgStatus,
      long status,
      long addr,
      int misc,
      String bytes) {

    boolean isMachineCheck() {
      return vector == MACHINE_CHECK;
    }
  }

  private final List<Integer> words = new ArrayList<>();

  @Override
  public synchronized void onWord(int vcpu, int value) {
    words.add(value);
  }

  synchronized Report report() {
    if (words.size() != WORDS || words.get(0) != TAG) {
      throw new IllegalStateException("the guest said " + words);
    }
    return new Report(
        words.get(1),
        wide(2),
        wide(4),
        wide(6),
        wide(8),
        wide(10),
        words.get(12) & ARITHMETIC,
        words.get(13),
        wide(14),
        wide(16),
        words.get(18),
        bytes());
  }

  private long wide(int low) {
    return Integer.toUnsignedLong(words.get(low)) | (long) words.get(low + 1) << 32;
  }

  private String bytes() {
    StringBuilder text = new StringBuilder();
    for (int i = WORDS - BYTES / Integer.BYTES; i < WORDS; i++) {
      text.append(HexFormat.of().toHexDigits(Integer.reverseBytes(words.get(i))));
    }
    return text.toString();
  }
}
