package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MappedRangesTest {

  private static final String OURS = "/memfd:ward-lost-1 (deleted)";

  @TempDir Path directory;

  private MappedRanges ranges;

  @BeforeEach
  void read() throws IOException {
    Path maps = directory.resolve("maps");
    Files.writeString(
        maps,
        """
        7f0000001000-7f0000003000 rw-p 7f0000001000 00:01 2255 /memfd:ward-lost-1 (deleted)
        7f0000003000-7f0000004000 rw-p 00000000 00:00 0
        7f0000004000-7f0000005000 rw-p 00000000 00:01 2256 /memfd:ward-lost-12 (deleted)
        7f0000008000-7f0000009000 rw-p 7f0000008000 00:01 2255 /memfd:ward-lost-1 (deleted)
        ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 [vsyscall]
        """);
    ranges = MappedRanges.ofFile(maps, OURS);
  }

  @Test
  void anAddressIsInARangeFromItsFirstByteToItsLast() {
    assertThat(ranges.contains(0x7f0000001000L)).isTrue();
    assertThat(ranges.contains(0x7f0000002fffL)).isTrue();
    assertThat(ranges.contains(0x7f0000008000L)).isTrue();
  }

  @Test
  void whatLiesBetweenBeforeAndBehindIsNot() {
    assertThat(ranges.contains(0x7f0000000fffL)).isFalse();
    assertThat(ranges.contains(0x7f0000003000L)).isFalse();
    assertThat(ranges.contains(0x7f0000009000L)).isFalse();
  }

  @Test
  void theMappingsOfOtherFilesAreNot() {
    assertThat(ranges.contains(0x7f0000004000L)).isFalse();
    assertThat(ranges.contains(0xffffffffff600000L)).isFalse();
  }
}
