package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.util.List;
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
    byte[] bytes =
        ward.vcpu.proto.GhesLayout.newBuilder()
            .addSources(ward.vcpu.proto.GhesSource.newBuilder().setNotification(11))
            .build()
            .toByteArray();

    assertThatThrownBy(() -> GhesLayout.parse(bytes, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "an error source of the guest has notification 11, which this build does not know: it"
                + " was written by a newer Ward; upgrade this host first");
  }

  @Test
  void bytesThatAreNoMessageAreRefused() {
    assertThatThrownBy(() -> GhesLayout.parse(new byte[] {(byte) 0xff}, MEMORY))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("1 bytes are not a guest's error sources: ");
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
