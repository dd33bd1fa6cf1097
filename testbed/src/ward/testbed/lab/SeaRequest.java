package ward.testbed.lab;

import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.stream.Stream;

/**
 * Asks the lab, from inside an arm64 machine, to turn the next stage-2 abort of a guest into a
 * synchronous external abort, as memory with an uncorrected error raises it.
 *
 * <p>The emulated hardware has no such errors. But the host's kernel learns of every abort from a
 * syndrome register that it saves first; the lab rewrites what was saved before the kernel looks at
 * it, so that everything from there on is the kernel's own, real code.
 *
 * @param guestVirtualAddress the address that the guest will touch, to the byte. It must abort: the
 *     page behind it not be mapped in stage 2 yet
 * @param faultStatus the fault status code (DFSC, IFSC), six bits of the syndrome
 * @param syndromeBits more bits to set there, of the lower 25
 * @param physicalAddressKnown whether HPFAR_EL2 shall say the guest-physical address
 */
public record SeaRequest(
    long guestVirtualAddress, int faultStatus, long syndromeBits, boolean physicalAddressKnown) {

  /** Synchronous external abort, not on a table walk (Arm ARM, ISS encoding for a Data Abort). */
  public static final int EXTERNAL_ABORT = 0x10;

  /** The same on a walk of the page tables, level 3. */
  public static final int EXTERNAL_ABORT_ON_WALK = 0x17;

  /** FnV: the fault address register holds nothing. */
  public static final long FAR_NOT_VALID = 1L << 10;

  /** S1PTW: a walk of the guest's own tables, whose memory is the host's. */
  public static final long STAGE_1_WALK = 1L << 7;

  static final String SYMBOL_LINE = "@WARD-SYMBOL ";
  static final String LINE = "@WARD-SEA ";
  static final String ARMED = "armed";

  private static final Path CONSOLE = Path.of("/dev/console");

  /** Whether there is a lab outside that answers. */
  public static boolean isPossible() {
    return "aarch64".equals(System.getenv("WARD_LAB"));
  }

  /**
   * Waits until the next abort at that address is armed. Once it came, all is as before.
   *
   * @throws IOException if the lab refuses, saying why
   */
  public static void arm(long guestVirtualAddress, int faultStatus, long syndromeBits)
      throws IOException {
    new SeaRequest(guestVirtualAddress, faultStatus, syndromeBits, true).arm();
  }

  /** Likewise. */
  public void arm() throws IOException {
    if (!isPossible()) {
      throw new IllegalStateException("external aborts can be had in testbed/lab arm64 only");
    }
    tell(SYMBOL_LINE + symbol());
    tell(toLine());
    String answer = answer();
    if (!answer.equals(ARMED)) {
      throw new IOException("the lab does not arm " + this + ": " + answer);
    }
  }

  String toLine() {
    return LINE
        + "0x%x 0x%x 0x%x %b"
            .formatted(guestVirtualAddress, faultStatus, syndromeBits, physicalAddressKnown);
  }

  /** Reads {@link #toLine} back. */
  static SeaRequest parse(String line) {
    String[] fields = line.substring(LINE.length()).split(" ");
    return new SeaRequest(
        Long.parseUnsignedLong(fields[0].substring(2), 16),
        Integer.decode(fields[1]),
        Long.decode(fields[2]),
        Boolean.parseBoolean(fields[3]));
  }

  /** Where KVM handles a guest's abort: the line {@code address type name} of /proc/kallsyms. */
  private static String symbol() throws IOException {
    try (Stream<String> symbols = Files.lines(Path.of("/proc/kallsyms"))) {
      return symbols
          .filter(symbol -> symbol.endsWith(" " + SeaForger.FUNCTION))
          .map(symbol -> symbol.split(" ")[0])
          .findFirst()
          .orElseThrow(() -> new IOException("/proc/kallsyms has no " + SeaForger.FUNCTION));
    }
  }

  private static void tell(String line) throws IOException {
    try (FileOutputStream console = new FileOutputStream(CONSOLE.toFile())) {
      // A line of its own, whatever was printed before.
      console.write(("\n" + line + "\n").getBytes(StandardCharsets.US_ASCII));
    }
  }

  private static String answer() throws IOException {
    try (FileInputStream console = new FileInputStream(CONSOLE.toFile())) {
      StringBuilder line = new StringBuilder();
      for (int next = console.read(); next >= 0 && next != '\n'; next = console.read()) {
        line.append((char) next);
      }
      return line.toString().strip();
    }
  }
}
