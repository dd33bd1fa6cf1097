package ward.vcpu;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.OptionalLong;
import ward.memory.Pages;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.vcpu.proto.WaitingError;

/** The errors that a vCPU was not told of yet, as they travel. */
final class WaitingErrors {

  private WaitingErrors() {}

  static List<WaitingError> written(List<MemoryError> errors) {
    return errors.stream().map(WaitingErrors::written).toList();
  }

  static WaitingError written(MemoryError error) {
    WaitingError.Builder message =
        WaitingError.newBuilder()
            .setLsb(error.lsb())
            .setSeverity(
                error.severity() == Severity.ACTION_REQUIRED
                    ? WaitingError.Severity.ACTION_REQUIRED
                    : WaitingError.Severity.ACTION_OPTIONAL)
            .setInput(error.input().name());
    error.guestPhysicalAddress().ifPresent(message::setGuestPhysicalAddress);
    return message.build();
  }

  /**
   * @param owner for messages: {@code vCPU 3}
   * @throws IOException naming a value that no error has
   */
  static List<MemoryError> parse(String owner, List<WaitingError> written, int vcpu)
      throws IOException {
    List<MemoryError> errors = new ArrayList<>();
    for (WaitingError message : written) {
      errors.add(parse(owner, message, vcpu));
    }
    return errors;
  }

  /** One of them. */
  static MemoryError parse(String owner, WaitingError message, int vcpu) throws IOException {
    int lsb = message.getLsb();
    if (lsb < Pages.SHIFT || lsb > PoisonEntry.MAX_PAGE_SHIFT) {
      throw new IOException(
          "an error that waits for %s has the extent 2^%s; 12 to %d are allowed"
              .formatted(owner, Integer.toUnsignedString(lsb), PoisonEntry.MAX_PAGE_SHIFT));
    }
    OptionalLong address =
        message.hasGuestPhysicalAddress()
            ? OptionalLong.of(message.getGuestPhysicalAddress())
            : OptionalLong.empty();
    return new MemoryError(
        address, severity(owner, message), lsb, input(owner, message.getInput()), vcpu);
  }

  private static Severity severity(String owner, WaitingError message) throws IOException {
    return switch (message.getSeverity()) {
      case ACTION_REQUIRED -> Severity.ACTION_REQUIRED;
      case ACTION_OPTIONAL -> Severity.ACTION_OPTIONAL;
      default ->
          throw new IOException(
              "an error that waits for %s has no severity that this build knows".formatted(owner));
    };
  }

  private static MemoryError.Input input(String owner, String name) throws IOException {
    return Arrays.stream(MemoryError.Input.values())
        .filter(input -> input.name().equals(name))
        .findFirst()
        .orElseThrow(
            () ->
                new IOException(
                    ("an error that waits for %s came by \"%s\", which this build does not know:"
                            + " upgrade this host first")
                        .formatted(owner, name)));
  }
}
