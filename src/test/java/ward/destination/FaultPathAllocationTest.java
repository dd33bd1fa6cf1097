package ward.destination;

import static org.assertj.core.api.Assertions.assertThat;

import com.sun.management.ThreadMXBean;
import java.lang.management.ManagementFactory;
import org.junit.jupiter.api.Test;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.uffd.FillResult;
import ward.uffd.PageFiller;

/** A fault leaves nothing behind for the collector, whose pauses a vCPU would wait for. */
class FaultPathAllocationTest {

  private static final int WARM_UP_PAGES = 200_000;
  private static final int PAGES = 200_000;
  private static final long BYTES_ADDRESS = 0x1000;

  private final GuestLayout layout = Fixture.layout(WARM_UP_PAGES + PAGES);
  private final DestinationListener nobody = new DestinationListener() {};
  private final GivenBack givenBack = new GivenBack();
  private final Line line = new Line();
  private final PageTable table = new PageTable(layout.pageCount());
  private final PageResolver resolver =
      new PageResolver(
          new GuestMemory(layout, new long[] {FakeFiller.BASE}),
          table,
          new Filler(),
          givenBack,
          nobody,
          () -> {});
  private final PageFaults faults =
      new PageFaults(
          layout,
          table,
          resolver,
          givenBack,
          new GivenUp(OnRemove.KEEP, layout, new Fixture.SmallLedger(), Runnable::run),
          nobody,
          () -> line);
  private final PageAnswers answers =
      new PageAnswers(
          new PageAnswers.Parts(layout, faults, resolver, null, () -> {}),
          nobody,
          (id, millis) -> {
            throw new AssertionError("nothing is asked for again");
          },
          (PageSet poisoned, PageSet held) -> {});

  /** Remembers the last request only. */
  private static final class Line implements RequestLine.Line {
    long request;
    long address;

    @Override
    public int attempt() {
      return 1;
    }

    @Override
    public void write(long number, long guestPhysicalAddress, int pageCount) {
      request = number;
      address = guestPhysicalAddress;
    }

    @Override
    public void flush() {}
  }

  /** A kernel that is always content, and says so with one object. */
  private static final class Filler implements PageFiller {
    private static final FillResult DONE =
        new FillResult(FillResult.Outcome.COMPLETED, Pages.SIZE_BYTES, 0);

    @Override
    public FillResult copy(long hostAddress, long sourceAddress, long lengthBytes) {
      return DONE;
    }

    @Override
    public FillResult take(long hostAddress, long sourceAddress, long lengthBytes) {
      return DONE;
    }

    @Override
    public FillResult zero(long hostAddress, long lengthBytes) {
      return DONE;
    }

    @Override
    public FillResult poison(long hostAddress, long lengthBytes) {
      return DONE;
    }

    @Override
    public void wake(long hostAddress, long lengthBytes) {}
  }

  private void fault(long first, long count) throws ResolveException {
    for (long page = first; page < first + count; page++) {
      faults.onFault(page, FaultPathAllocationTest::failed);
      answers.onDemand(line.request, line.address, 1, BYTES_ADDRESS);
    }
  }

  private static void failed(Throwable cause) {
    throw new AssertionError(cause);
  }

  private static long allocatedBytes() {
    ThreadMXBean threads = (ThreadMXBean) ManagementFactory.getThreadMXBean();
    return threads.getThreadAllocatedBytes(Thread.currentThread().getId());
  }

  @Test
  void aFaultFromItsEventToItsIoctlAllocatesNothing() throws Exception {
    fault(0, WARM_UP_PAGES);

    long before = allocatedBytes();
    fault(WARM_UP_PAGES, PAGES);
    long perFault = (allocatedBytes() - before) / PAGES;

    assertThat(resolver.unresolved()).isZero();
    assertThat(perFault).isZero();
  }
}
