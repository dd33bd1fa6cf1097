package ward.testbed.lab;

import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** A version inside a kernel package's name: runs of digits count as numbers. */
record DebianVersion(String text) implements Comparable<DebianVersion> {

  private static final Pattern PART = Pattern.compile("\\d+|~|\\D");

  @Override
  public int compareTo(DebianVersion other) {
    Matcher mine = PART.matcher(text);
    Matcher others = PART.matcher(other.text);
    while (true) {
      String part = mine.find() ? mine.group() : "";
      String opposite = others.find() ? others.group() : "";
      int order = compare(part, opposite);
      if (order != 0 || part.isEmpty()) {
        return order;
      }
    }
  }

  /** As dpkg does: a tilde sorts before everything, even before the end. */
  private static int compare(String part, String other) {
    if (isNumber(part) && isNumber(other)) {
      return new java.math.BigInteger(part).compareTo(new java.math.BigInteger(other));
    }
    boolean tilde = part.equals("~");
    return tilde != other.equals("~") ? (tilde ? -1 : 1) : part.compareTo(other);
  }

  private static boolean isNumber(String part) {
    return !part.isEmpty() && Character.isDigit(part.charAt(0));
  }
}
