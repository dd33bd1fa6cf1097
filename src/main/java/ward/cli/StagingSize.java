package ward.cli;

import picocli.CommandLine.TypeConversionException;
import ward.kernel.StagingMemory;

/**
 * The memory that pages of the stream wait in at a destination, all connections taken together, as
 * people write it: {@code 8M}.
 *
 * @param bytes 2 MiB to 2^40
 */
record StagingSize(long bytes) {

  static StagingSize parse(String text) {
    try {
      long bytes = ByteRate.bytes(text);
      if (bytes >= StagingMemory.BODY_BYTES && bytes <= ByteRate.MOST) {
        return new StagingSize(bytes);
      }
    } catch (NumberFormatException | ArithmeticException e) {
      // told below, with what is allowed
    }
    throw new TypeConversionException(
        "\"%s\" is no size; bytes from 2M to 1T are allowed (K, M, G and T are 2^10, 2^20, 2^30 and 2^40)"
            .formatted(text));
  }

  /**
   * A huge page for each connection is what the stream takes, and all that it takes: the thread
   * that receives into it is the one that places it, so a second one would only wait.
   *
   * @throws CommandFailure if these are too few bytes
   */
  void requireEnoughFor(int streams) {
    long needed = (long) streams * StagingMemory.BODY_BYTES;
    if (bytes < needed) {
      throw new CommandFailure(
          ExitCode.USAGE,
          "--staging: %d bytes for %d stream connections; each needs 2 MiB, so %dM or more are allowed, or fewer --streams"
              .formatted(bytes, streams, needed >> 20));
    }
  }
}
