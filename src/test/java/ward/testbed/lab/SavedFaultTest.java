package ward.testbed.lab;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.junit.jupiter.api.Test;

class SavedFaultTest {

  private static final long ADDRESS = 0x4011_1008L;
  private static final long DATA_ABORT_ON_STORE = 0x9382_0047L;

  @Test
  void isFoundByItsAddressWithASyndromeBeforeIt() {
    ByteBuffer vcpu = ByteBuffer.allocate(512).order(ByteOrder.LITTLE_ENDIAN);
    vcpu.putLong(64, ADDRESS); // a register that happens to hold the address
    vcpu.putLong(256, DATA_ABORT_ON_STORE);
    vcpu.putLong(264, ADDRESS);

    assertThat(SavedFault.find(vcpu, ADDRESS)).hasValue(256);
    assertThat(SavedFault.find(vcpu, ADDRESS + 1)).isEmpty();
  }

  @Test
  void keepsClassAndDirectionAndDropsWhatOnlyATranslationFaultSays() {
    SeaRequest request = new SeaRequest(ADDRESS, SeaRequest.EXTERNAL_ABORT, 0, true);

    assertThat(SavedFault.forged(DATA_ABORT_ON_STORE, request)).isEqualTo(0x9200_0050L);
  }

  @Test
  void aRequestSurvivesTheConsole() {
    SeaRequest request =
        new SeaRequest(
            0xffff_8000_0000_1008L,
            SeaRequest.EXTERNAL_ABORT_ON_WALK,
            SeaRequest.FAR_NOT_VALID,
            false);

    assertThat(SeaRequest.parse(request.toLine())).isEqualTo(request);
  }
}
