package ward.source;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.lang.management.ManagementFactory;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.kernel.NativeKernel;
import ward.wire.FrameScanner;
import ward.wire.FrameWriter;
import ward.wire.ProtocolVersion;

/** An answer leaves nothing behind for the collector, whose pauses a vCPU would wait for. */
class AnswerPathAllocationTest {

  private static final int ANSWERS = 100_000;

  @TempDir Path directory;

  private static long allocatedBytes() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    return threads.getThreadAllocatedBytes(Thread.currentThread().getId());
  }

  @Test
  void aRequestFromItsBytesToThoseOfItsAnswerAllocatesNothing() throws Exception {
    try (Bench bench = new Bench(directory)) {
      Exchange exchange = new Exchange(bench);
      exchange.repeat(ANSWERS);

      long before = allocatedBytes();
      exchange.repeat(ANSWERS);
      long perAnswer = (allocatedBytes() - before) / ANSWERS;

      assertThat(exchange.pages).isEqualTo(2 * ANSWERS);
      assertThat(perAnswer).isZero();
    }
  }

  /** A request and its answer, over and over, through the same two buffers. */
  private static final class Exchange {
    private final ByteBuf requests = Unpooled.directBuffer(4_096);
    private final ByteBuf answers = Unpooled.directBuffer(16_384);
    private final FrameWriter asking = new FrameWriter(requests);
    private final FrameScanner asked = scanner(requests);
    private final FrameWriter answering = new FrameWriter(answers);
    private final FrameScanner answered = scanner(answers);
    private final PageAnswerer answerer;
    private final PageAnswerer.Later never =
        answer -> {
          throw new AssertionError(answer.toString());
        };
    long pages;

    Exchange(Bench bench) {
      // The real kernel: the bench's looks every page up among those that it spoils.
      PageReader reader = new PageReader(NativeKernel.load(), bench.guest.memory.memory());
      answerer =
          new PageAnswerer(
              new SourceParts(SmallGuest.LAYOUT, bench.served, reader, bench.lost, bench.events),
              new StreamCursor(SmallGuest.LAYOUT, false)::faulted);
    }

    private static FrameScanner scanner(ByteBuf bytes) {
      return new FrameScanner(bytes, ProtocolVersion.OURS, "peer");
    }

    void repeat(int times) {
      for (int i = 1; i <= times; i++) {
        requests.clear();
        answers.clear();
        asking.request(i, SmallGuest.LAYOUT.addressOf(SmallGuest.LOW_PAGES + i % 20), 1);
        answerNext();
      }
    }

    private void answerNext() {
      if (asked.next() && asked.isRequest()) {
        answerer.answer(
            asked.requestId(), asked.guestPhysicalAddress(), asked.pageCount(), answering, never);
      }
      if (answered.next() && answered.isPages()) {
        pages += answered.pageCount();
      }
    }
  }
}
