package ward.testbed;

import picocli.CommandLine.TypeConversionException;

/** A size as people write it: {@code 256M}, {@code 4G}, or bytes. */
record MemorySize(long bytes) {

  static MemorySize parse(String text) {
    if (!text.matches("[0-9]{1,12}[KMG]?")) {
      throw new TypeConversionException(
          "\"%s\" is not a size; write it as 256M or 4G".formatted(text));
    }
    int last = text.length() - 1;
    int shift =
        switch (text.charAt(last)) {
          case 'K' -> 10;
          case 'M' -> 20;
          case 'G' -> 30;
          default -> 0;
        };
    long count = Long.parseLong(shift == 0 ? text : text.substring(0, last));
    if (count > Long.MAX_VALUE >> shift) {
      throw new TypeConversionException(
          "\"%s\" is more than 2^63-1 bytes; write a smaller size".formatted(text));
    }
    return new MemorySize(count << shift);
  }
}
