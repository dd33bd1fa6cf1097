package ward.cli;

/** Numbers as people write them: hexadecimal after {@code 0x}, decimal otherwise. */
final class NumberText {

  private NumberText() {}

  /**
   * Unlike {@code Long.decode}, takes no octal: 010 is ten here.
   *
   * @throws NumberFormatException unless it is a number from 0 to 2^63 - 1
   */
  static long parse(String text) {
    String digits = text.strip();
    boolean hex = digits.startsWith("0x") || digits.startsWith("0X");
    long value = hex ? Long.parseLong(digits.substring(2), 16) : Long.parseLong(digits);
    if (value < 0 || digits.contains("-") || digits.contains("+")) {
      throw new NumberFormatException(text);
    }
    return value;
  }
}
