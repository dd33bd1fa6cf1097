package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.condition.OS;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.GuestMemory;
import ward.kernel.NativeKernel;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.vcpu.TouchPlan.Touch;

@EnabledOnOs(OS.LINUX)
class TouchPlanTest {

  private static final GuestMemory FOUR_PAGES =
      new GuestMemory(
          new GuestLayout("plan", List.of(new GuestRegion(0, 4 << 12, 0))), new long[] {0x10000});

  @TempDir private Path directory;

  private Path plan(int... pages) throws IOException {
    Path file = directory.resolve("plan");
    TouchPlan.write(file, pages);
    return file;
  }

  @ParameterizedTest
  @CsvSource({
    "sizeof ward_touch, " + TouchPlan.SIZE_BYTES,
    "ward_touch.page, " + TouchPlan.PAGE,
    "ward_touch.address, " + TouchPlan.ADDRESS,
    "ward_touch.began, " + TouchPlan.BEGAN,
    "ward_touch.waited, " + TouchPlan.WAITED,
    "ward_touch.seen, " + TouchPlan.SEEN,
    "ward_touch.lost, " + TouchPlan.LOST,
  })
  void fieldsSitWhereTheCompilerPutsThem(String name, long offset) {
    assertThat(offset).isEqualTo(NativeKernel.constant(name));
  }

  @Test
  void aPlanThatNobodyHasBegunNamesItsPagesAndNothingElse() throws IOException {
    Path file = plan(3, 1);

    assertThat(TouchPlan.read(file))
        .containsExactly(new Touch(3, 0, 0, 0, false), new Touch(1, 0, 0, 0, false));
    assertThat(TouchPlan.isDone(file, 1)).isFalse();
  }

  @Test
  void aPageThatTheGuestDoesNotHaveIsRefused() throws IOException {
    Path file = plan(3, 4);

    assertThatThrownBy(() -> TouchPlan.map(NativeKernel.load(), file, FOUR_PAGES))
        .isInstanceOf(IOException.class)
        .hasMessage(
            "touch plan %s: line 1 names page 4; the guest has pages 0 to 3".formatted(file));
  }

  @Test
  void aFileThatIsNoPlanIsRefused() throws IOException {
    Path file = Files.write(directory.resolve("plan"), new byte[47]);

    assertThatThrownBy(() -> TouchPlan.map(NativeKernel.load(), file, FOUR_PAGES))
        .hasMessageContaining("has 47 bytes; 1 or more times 48 are needed");
  }
}
