package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.Arrays;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.vcpu.GhesSource.Notification;

class GhesLayoutTest {

  private static final GuestLayout MEMORY =
      new GuestLayout(
          "small",
          List.of(new GuestRegion(0, 0x10000, 0), new GuestRegion(0x10000, 0x1000, 0x10000)));
  private static final GhesSource SYNCHRONOUS =
      new GhesSource(Notification.SYNCHRONOUS_EXTERNAL_ABORT, 0x1000, 0x1010, 0x1400, 1024);
  private static final GhesSource POLLED =
      new GhesSource(Notification.POLLED, 0x1008, 0x1018, 0x1800, 1024);

  @Test
  void whatTravelsIsWhatWasSent() throws Exception {
    GhesLayout layout = new GhesLayout(List.of(SYNCHRONOUS, POLLED));

    assertThat(GhesLayout.parse(layout.toBytes(), MEMORY)).isEqualTo(layout);
  }

  @Test
  void aGuestWithoutErrorSourcesHasAnEmptyLayout() throws Exception {
    assertThat(GhesLayout.parse(new byte[0], MEMORY).sources()).isEmpty();
  }

  @Test
  void aSourceIsFoundByItsNotification() {
    GhesLayout layout = new GhesLayout(List.of(SYNCHRONOUS, POLLED));

    assertThat(layout.source(Notification.POLLED)).hasValue(POLLED);
    assertThat(new GhesLayout(List.of(SYNCHRONOUS)).source(Notification.POLLED)).isEmpty();
  }

  @Test
  void aSourceThatIsNotRamIsRefused() {
    byte[] bytes =
        new GhesLayout(List.of(new GhesSource(Notification.POLLED, 0x1000, 0x1010, 0x20000, 1024)))
            .toBytes();

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("1024 bytes at GPA 0x20000");
  }

  @Test
  void aBlockAcrossTwoRegionsIsRefused() {
    byte[] bytes =
        new GhesLayout(List.of(new GhesSource(Notification.POLLED, 0x1000, 0x1010, 0xfe00, 1024)))
            .toBytes();

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessageContaining("1024 bytes at GPA 0xfe00");
  }

  @Test
  void anUnknownNotificationIsRefused() {
    byte[] bytes = new GhesLayout(List.of(POLLED)).toBytes();
    bytes[28] = 11;

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "an error source of the guest has notification 11, which this build does not know: it"
                + " was written by a newer Ward; upgrade this host first");
  }

  @Test
  void halfASourceIsRefused() {
    byte[] bytes = Arrays.copyOf(new GhesLayout(List.of(POLLED)).toBytes(), 24);

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessage("24 bytes of error sources; a multiple of 32 is needed");
  }

  @Test
  void anAddressThatIsNotAllowedIsRefused() {
    byte[] bytes = new GhesLayout(List.of(POLLED)).toBytes();
    bytes[8]++;

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "an error source of the guest has readAckRegister 0x1019; a positive multiple of 8 is"
                + " allowed");
  }

  @Test
  void theSectionOfAMachinesStateTakesAnyNumberOfSources() throws Exception {
    StateFormat format = new StateFormat(List.of(GhesLayout.PART));
    byte[] bytes = new GhesLayout(List.of(SYNCHRONOUS, POLLED)).toBytes();

    format.check("the machine", Map.of("ward_ghes", bytes));
    format.check("the machine", Map.of());
    assertThat(bytes)
        .containsExactly(
            HexFormat.of()
                .parseHex(
                    """
                    0010000000000000 1010000000000000 0014000000000000 00040000 08000000
                    0810000000000000 1810000000000000 0018000000000000 00040000 00000000
                    """
                        .replaceAll("\\s", "")));
  }

  @ParameterizedTest(name = "{0} {1} {2} {3}")
  @CsvSource({
    "0x1004, 0x1010, 0x1400, 1024, statusAddressRegister 0x1004; a positive multiple of 8 is allowed",
    "0x1000, 0x0, 0x1400, 1024, readAckRegister 0x0; a positive multiple of 8 is allowed",
    "0x1000, 0x1010, -8, 1024, statusBlock 0xfffffffffffffff8; a positive multiple of 8 is allowed",
    "0x1000, 0x1010, 0x1400, 171, statusBlockBytes 171; 172 to 65536 are allowed",
    "0x1000, 0x1010, 0x1400, 65537, statusBlockBytes 65537; 172 to 65536 are allowed"
  })
  void aPlaceThatIsNotAllowedIsNamed(
      String register, String readAck, String block, int blockBytes, String message) {
    assertThatThrownBy(
            () ->
                new GhesSource(
                    Notification.POLLED,
                    Long.decode(register),
                    Long.decode(readAck),
                    Long.decode(block),
                    blockBytes))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(message);
  }
}
