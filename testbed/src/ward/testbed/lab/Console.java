package ward.testbed.lab;

import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Base64;
import java.util.Deque;
import java.util.Optional;
import java.util.OptionalInt;

/**
 * What a machine said on its serial port, line by line. Lines that begin with {@code @WARD-} are
 * the lab's own; between {@code @WARD-RESULT} and {@code @WARD-END} there is a JSON object in
 * base64, so that nothing the kernel or a test prints can be taken for it. Not safe for threads.
 */
final class Console {

  private static final int TAIL_LINES = 60;

  /** QEMU says so of every bit of its own model that its emulation lacks. */
  private static final String MISSING_FEATURE = "warning: TCG doesn't support requested feature";

  private static final String UP = "@WARD-UP ";
  private static final String RESULT = "@WARD-RESULT";
  private static final String END = "@WARD-END ";

  private final Deque<String> tail = new ArrayDeque<>();
  private final StringBuilder encoded = new StringBuilder();
  private boolean inResult;
  private String kernel;
  private double upSeconds;
  private Integer exitCode;
  private String panic;

  /**
   * @return whether the line is to be read: it is no part of the encoded result, and no remark of
   *     QEMU's on its own model
   */
  boolean accept(String line) {
    boolean wasInResult = inResult;
    understand(line);
    boolean readable = !wasInResult && !inResult && !line.contains(MISSING_FEATURE);
    if (readable) {
      remember(line);
    }
    return readable;
  }

  private void understand(String line) {
    if (line.startsWith(UP)) {
      String[] fields = line.split(" ");
      upSeconds = Double.parseDouble(fields[1]);
      kernel = fields[2];
    } else if (line.equals(RESULT)) {
      inResult = true;
    } else if (line.startsWith(END)) {
      inResult = false;
      exitCode = Integer.parseInt(line.substring(END.length()).strip());
    } else if (inResult) {
      encoded.append(line);
    } else if (line.contains("Kernel panic - not syncing")) {
      panic = line;
    }
  }

  private void remember(String line) {
    tail.addLast(line);
    if (tail.size() > TAIL_LINES) {
      tail.removeFirst();
    }
  }

  /** Whether the machine has nothing more to say. */
  boolean isOver() {
    return exitCode != null || panic != null;
  }

  /** As {@code uname -r} says it; empty before {@code /init} ran. */
  Optional<String> kernel() {
    return Optional.ofNullable(kernel);
  }

  /** The machine's own clock when {@code /init} had set it up. */
  double upSeconds() {
    return upSeconds;
  }

  /** Of what ran inside. */
  OptionalInt exitCode() {
    return exitCode == null ? OptionalInt.empty() : OptionalInt.of(exitCode);
  }

  /** The kernel's line, if it gave up. */
  Optional<String> panic() {
    return Optional.ofNullable(panic);
  }

  /**
   * The JSON from inside, an empty object if none came.
   *
   * @throws IllegalArgumentException if what came is not base64
   */
  String result() {
    return encoded.isEmpty()
        ? "{}"
        : new String(Base64.getDecoder().decode(encoded.toString()), StandardCharsets.UTF_8);
  }

  /** The last lines. */
  String tail() {
    return String.join(System.lineSeparator(), tail);
  }
}
