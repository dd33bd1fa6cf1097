package ward.cli;

import picocli.CommandLine.TypeConversionException;

/** A guest-physical address as people write it: {@code 0x1f000} or decimal. */
record GuestPhysicalAddress(long value) {

  static GuestPhysicalAddress parse(String text) {
    try {
      return new GuestPhysicalAddress(NumberText.parse(text));
    } catch (NumberFormatException e) {
      throw new TypeConversionException(
          "\"%s\" is not a guest-physical address; write it as 0x1f000 or in decimal"
              .formatted(text));
    }
  }
}
