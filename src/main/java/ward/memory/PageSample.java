package ward.memory;

/**
 * What one page of a guest held at some moment.
 *
 * @param frame guest frame number: guest-physical address / 4096
 * @param sha256 of its 4096 bytes, 64 lower-case hexadecimal digits
 */
public record PageSample(long frame, String sha256) {

  private static final int DIGITS = 64;

  public PageSample {
    if (frame < 0 || frame >= GuestRegion.MAX_ADDRESS >>> Pages.SHIFT) {
      throw new IllegalArgumentException(
          "guest frame number %d; 0 to 2^40 - 1 are allowed".formatted(frame));
    }
    if (sha256.length() != DIGITS || !sha256.chars().allMatch(PageSample::isDigit)) {
      throw new IllegalArgumentException(
          "SHA-256 \"%s\"; %d lower-case hexadecimal digits are needed".formatted(sha256, DIGITS));
    }
  }

  private static boolean isDigit(int character) {
    return character >= '0' && character <= '9' || character >= 'a' && character <= 'f';
  }

  /** The guest-physical address of the page's first byte. */
  public long address() {
    return frame << Pages.SHIFT;
  }
}
