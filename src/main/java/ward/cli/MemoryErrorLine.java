package ward.cli;

import java.util.OptionalLong;
import ward.vcpu.MemoryErrorEvent;

/**
 * How a guest heard of one loss, for the report; addresses in hexadecimal, empty where unknown.
 *
 * @param time ISO 8601
 * @param lsb log2 of the lost extent in bytes
 * @param input what the host said
 * @param output what the guest was given
 * @param vcpu index; -1 where a device met the loss
 */
record MemoryErrorLine(
    String time,
    String guestPhysicalAddress,
    String hostAddress,
    int lsb,
    String severity,
    String input,
    String output,
    int vcpu) {

  static MemoryErrorLine of(MemoryErrorEvent event) {
    return new MemoryErrorLine(
        event.time().toString(),
        hexadecimal(event.error().guestPhysicalAddress()),
        hexadecimal(event.hostAddress()),
        event.error().lsb(),
        event.error().severity().name(),
        event.error().input().name(),
        event.injection().toString(),
        event.error().vcpu());
  }

  private static String hexadecimal(OptionalLong address) {
    return address.isPresent() ? "0x%x".formatted(address.getAsLong()) : "";
  }
}
