package ward.cli;

import picocli.CommandLine.TypeConversionException;

/** A guest-physical address as people write it: {@code 0x1f000} or decimal. */
record GuestPhysicalAddress(long value) {

  static GuestPhysicalAddress parse(String text) {
    try {
      long value = Long.decode(text);
      if (value >= 0) {
        return new GuestPhysicalAddress(value);
      }
    } catch (NumberFormatException e) {
      // told below, with what is allowed
    }
    throw new TypeConversionException(
        "\"%s\" is not a guest-physical address; write it as 0x1f000 or in decimal"
            .formatted(text));
  }
}
