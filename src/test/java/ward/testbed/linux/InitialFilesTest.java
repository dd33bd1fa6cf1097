package ward.testbed.linux;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

class InitialFilesTest {

  /** Put together by hand from cpio(5), "New ASCII Format". */
  @Test
  void anArchiveHoldsItsFilesAlignedToFourAndEndsWithATrailer() throws IOException {
    byte[] archive =
        new InitialFiles().directory("dev").program("init", new byte[] {'h', 'i'}).toBytes();

    assertThat(new String(archive, StandardCharsets.US_ASCII))
        .isEqualTo(
            "070701000000010000"
                + "41ed00000000000000000000000100000000000000000000000000000000000000000000000000000004"
                + "00000000dev\0\0\0"
                + "070701000000020000"
                + "81ed00000000000000000000000100000000000000020000000000000000000000000000000000000005"
                + "00000000init\0\0hi\0\0"
                + "070701000000000000"
                + "000000000000000000000000000100000000000000000000000000000000000000000000000000000"
                + "00b00000000TRAILER!!!\0\0\0\0");
  }
}
