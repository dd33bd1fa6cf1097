package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalInt;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.NativeKernel;
import ward.testing.RequiresUserfaultfd;
import ward.vcpu.TouchPlan;

/** That the benchmark would notice, shown on the yardstick's processes. */
@RequiresUserfaultfd
@Timeout(120)
class BenchGroundKernelTest {

  private static final int PAGES = 256;
  private static final int LOST = 16;
  private static final long TOUCH_BYTES = NativeKernel.constant("sizeof ward_touch");
  private static final long SEEN = NativeKernel.constant("ward_touch.seen");

  /** A destination that has everything, to be looked at while it lives. */
  private interface Look {
    void at(BenchGround ground, long pid, long hostAddress) throws IOException;
  }

  private static void arrive(boolean poisoned, Look look) throws IOException {
    BenchCase of =
        new BenchCase(
            "x",
            "?",
            BenchCase.Toucher.THREADS,
            2,
            false,
            OptionalInt.empty(),
            PAGES,
            0,
            LOST,
            false);
    try (BenchGround ground = new BenchGround(of, 7, Duration.ofMinutes(1))) {
      ground.layOutPlan();
      try (YardstickProcess source =
              YardstickProcess.start(
                  List.of(), List.of("serve", ground.memory().toString(), "sleeping"));
          YardstickProcess destination =
              YardstickProcess.start(List.of(), errand(ground, source, poisoned))) {
        long address = destination.answer(ground.deadline()).get("hostAddress").asLong();
        look.at(ground, destination.pid(), address);
      }
    }
  }

  private static List<String> errand(BenchGround ground, YardstickProcess source, boolean poisoned)
      throws IOException {
    String port = source.answer(ground.deadline()).get("port").asText();
    String bytes = Long.toString(ground.of().bytes());
    String plan = "plan=" + ground.plan();
    return poisoned
        ? List.of("arrive", port, bytes, "2", "sleeping", plan, "lost=" + ground.ranges())
        : List.of("arrive", port, bytes, "2", "sleeping", plan);
  }

  private static void overwrite(Path file, long offset, int value) throws IOException {
    try (RandomAccessFile bytes = new RandomAccessFile(file.toFile(), "rw")) {
      bytes.seek(offset);
      bytes.write(value);
    }
  }

  @Test
  void aGuestThatArrivedAsItWasHasNoFault() throws IOException {
    arrive(
        true,
        (ground, pid, address) -> {
          assertThatCode(() -> ground.check(pid, address)).doesNotThrowAnyException();
          assertThat(ground.touches(pid, address))
              .hasSize(PAGES)
              .filteredOn(TouchPlan.Touch::lost)
              .hasSize(LOST);
        });
  }

  @Test
  void oneOtherByteIsAWrongPage() throws IOException {
    arrive(
        true,
        (ground, pid, address) -> {
          long page = ground.guest().isLost(100) ? 101 : 100;
          int there = Byte.toUnsignedInt((byte) (ground.guest().firstWord(page) >>> 8));
          overwrite(ground.memory(), (page << 12) + 1, there ^ 1);

          assertThatThrownBy(() -> ground.check(pid, address))
              .hasMessage("1 healthy pages are wrong, 0 lost ones can be read");
        });
  }

  @Test
  void lostPagesWithoutAMarkerCanBeRead() throws IOException {
    arrive(
        false,
        (ground, pid, address) -> {
          assertThatThrownBy(() -> ground.check(pid, address))
              .hasMessage("0 healthy pages are wrong, %d lost ones can be read".formatted(LOST));
          assertThatThrownBy(() -> ground.touches(pid, address))
              .hasMessageContaining("should have taken SIGBUS");
        });
  }

  @Test
  void aTouchThatSawAnotherWordIsNoted() throws IOException {
    arrive(
        true,
        (ground, pid, address) -> {
          int line = 0;
          while (ground.guest().isLost(TouchPlan.read(ground.plan())[line].page())) {
            line++;
          }
          long page = TouchPlan.read(ground.plan())[line].page();
          int there = Byte.toUnsignedInt((byte) ground.guest().firstWord(page));
          overwrite(ground.plan(), SEEN + line * TOUCH_BYTES, there ^ 1);

          assertThatThrownBy(() -> ground.touches(pid, address))
              .hasMessageStartingWith("page %d: a thread saw".formatted(page));
        });
  }
}
