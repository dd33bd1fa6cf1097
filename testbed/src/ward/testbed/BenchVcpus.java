package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.vcpu.KvmRegs;
import ward.vcpu.KvmSregs;
import ward.vcpu.TouchPlan.Touch;
import ward.vcpu.VcpuState;

/**
 * The vCPUs of a case under KVM: their program ({@code testbed/guest/toucher.S}), what each of them
 * reads, and where in the guest's memory it writes what that cost. Both sides run the same bytes
 * from the same registers.
 */
final class BenchVcpus {

  /** When the load began and how long it took, in ticks of the TSC, and what it saw. */
  private static final int SAMPLE_BYTES = 24;

  private static final int RING_3 = 3;

  private final BenchGuest guest;
  private final List<long[]> orders = new ArrayList<>();
  private final List<Long> samples = new ArrayList<>();
  private final PageSet written = new PageSet();
  private final X86WalkerImage image;

  BenchVcpus(BenchCase of, BenchGuest guest) {
    this.guest = guest;
    image =
        new X86WalkerImage(
            guest.layout(),
            of.threads(),
            new X86WalkerImage.Options(
                "toucher", RING_3, 0, vcpu -> new long[] {samples.get(vcpu)}, Map.of()));
    long samplePages = samplePages(of.pages()) + of.threads();
    written.add(new PageRun(of.pages() - samplePages, samplePages));
    long[] read = Arrays.stream(guest.order()).asLongStream().filter(this::isRead).toArray();
    long next = of.pages() - samplePages;
    for (int vcpu = 0; vcpu < of.threads(); vcpu++) {
      int from = Samples.share(read.length, vcpu, of.threads());
      int to = Samples.share(read.length, vcpu + 1, of.threads());
      orders.add(Arrays.copyOfRange(read, from, to));
      samples.add(Pages.bytes(next));
      next += samplePages(to - from);
    }
  }

  private static long samplePages(long samples) {
    return (samples * SAMPLE_BYTES + Pages.SIZE_BYTES - 1) >> Pages.SHIFT;
  }

  private boolean isRead(long page) {
    return page > 0 && !image.pages().contains(page) && !written.contains(page);
  }

  /** Pages that the guest writes. */
  PageSet written() {
    return written;
  }

  /**
   * @param memory gets the guest's own pages
   * @param states as `ward source --vcpu-state` takes them
   * @param registers as the yardstick takes them: kvm_sregs and kvm_regs of each vCPU
   */
  void writeTo(Path memory, Path states, Path registers) throws IOException {
    try (FileChannel file = FileChannel.open(memory, StandardOpenOption.WRITE)) {
      ByteBuffer bytes = image.write(orders);
      int offset = bytes.position();
      while (bytes.hasRemaining()) {
        offset += file.write(bytes, offset);
      }
    }
    Files.write(states, image.states().toBytes());
    try (FileChannel file =
        FileChannel.open(registers, StandardOpenOption.CREATE, StandardOpenOption.WRITE)) {
      for (VcpuState state : image.states().vcpus()) {
        file.write(ByteBuffer.wrap(state.sections().get(KvmSregs.SECTION)));
        file.write(ByteBuffer.wrap(state.sections().get(KvmRegs.SECTION)));
      }
    }
  }

  /**
   * What the vCPUs wrote, from outside: the touches of each in its order.
   *
   * @param tscKilohertz how fast their clock counts
   */
  Touch[] touches(long pid, long hostAddress, long tscKilohertz) throws IOException {
    List<Touch> touches = new ArrayList<>();
    try (FileChannel memory = FileChannel.open(Path.of("/proc/" + pid + "/mem"))) {
      for (int vcpu = 0; vcpu < orders.size(); vcpu++) {
        long[] order = orders.get(vcpu);
        ByteBuffer bytes =
            ByteBuffer.allocate(order.length * SAMPLE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
        long at = hostAddress + samples.get(vcpu);
        while (bytes.hasRemaining() && memory.read(bytes, at + bytes.position()) > 0) {
          // a read may be short
        }
        for (int i = 0; i < order.length; i++) {
          touches.add(touch(order[i], bytes, i * SAMPLE_BYTES, tscKilohertz));
        }
      }
    }
    return touches.toArray(Touch[]::new);
  }

  private static Touch touch(long page, ByteBuffer bytes, int at, long kilohertz) {
    return new Touch(
        page,
        nanos(bytes.getLong(at), kilohertz),
        nanos(bytes.getLong(at + Long.BYTES), kilohertz),
        bytes.getLong(at + 2 * Long.BYTES),
        false);
  }

  private static long nanos(long ticks, long kilohertz) {
    return (long) (ticks * 1e6 / kilohertz);
  }
}
