package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class GdbPacketsTest {

  @Test
  void theChecksumIsTheSumOfTheBytesInTwoDigits() {
    assertThat(text(GdbPackets.encode("OK"))).isEqualTo("$OK#9a");
    assertThat(text(GdbPackets.encode(""))).isEqualTo("$#00");
  }

  @Test
  void aNumberIsWrittenLowestByteFirst() {
    assertThat(GdbPackets.hex(0x9200_0010L)).isEqualTo("1000009200000000");
  }

  @Test
  void anErrorIsNoMemory() {
    assertThatThrownBy(() -> GdbPackets.bytes("E14")).isInstanceOf(IllegalArgumentException.class);
  }

  @Test
  void takesPacketsOutOfPiecesAndDropsAcknowledgements() {
    GdbPackets packets = new GdbPackets();

    accept(packets, "+$T05thr");
    String early = packets.poll();
    accept(packets, "ead:01;#07+$O");
    accept(packets, "K#9a");

    assertThat(early).isNull();
    assertThat(packets.poll()).isEqualTo("T05thread:01;");
    assertThat(packets.poll()).isEqualTo("OK");
    assertThat(packets.poll()).isNull();
  }

  private static void accept(GdbPackets packets, String text) {
    byte[] bytes = text.getBytes(StandardCharsets.ISO_8859_1);
    packets.accept(bytes, bytes.length);
  }

  private static String text(byte[] bytes) {
    return new String(bytes, StandardCharsets.ISO_8859_1);
  }
}
