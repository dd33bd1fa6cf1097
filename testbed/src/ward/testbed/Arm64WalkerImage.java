package ward.testbed;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import java.util.Map;
import java.util.stream.IntStream;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.vcpu.Arm64Registers;
import ward.vcpu.VcpuState;
import ward.vcpu.VcpuStates;

/**
 * The guest's own pages, from the first address of its RAM on.
 *
 * <pre>
 * 0x0000  code and vectors          0x3000  parameters, 64 bytes each   0x5000  counters, 64 bytes each
 * 0x2000  translation table         0x4000  commands                    0x6000  translation table of EL0
 *                                                                       0x7000  orders, u32 each
 * </pre>
 *
 * <p>Memory is mapped to itself in blocks of 1 GiB, whose access flags are set already. The first
 * GiB of RAM is there once more for EL0, in blocks of 2 MiB: what EL0 may write, EL1 may not run.
 */
final class Arm64WalkerImage implements WalkerImage {

  /** Where RAM begins; devices are below. */
  static final long RAM = 1L << 30;

  /** From the first address of RAM. */
  static final int TABLE = 0x2000;

  /** Likewise; level 2. */
  static final int TABLE_FOR_EL0 = 0x6000;

  /** Where EL0 finds the first GiB of RAM: the last that there is. */
  static final long FOR_EL0 = 511L << 30;

  private static final int CODE_BYTES_MAX = TABLE;
  private static final int PARAMETERS = 0x3000;
  private static final int PARAMETER_BYTES = 64;
  private static final int COMMANDS = 0x4000;
  private static final int COUNTERS = 0x5000;
  private static final int COUNTER_BYTES = 64;
  private static final long MOVES_WANTED = 1;
  private static final int ORDERS = 0x7000;
  private static final int GIB_SHIFT = 30;
  private static final int BLOCK_SHIFT = 21;

  /** A block of device memory: valid, attribute 0, accessed, never executed. */
  private static final long DEVICES = 0x0060_0000_0000_0401L;

  /** A block of normal memory: valid, attribute 1, inner shareable, accessed. */
  private static final long NORMAL = 0x705;

  /** That EL0 may touch. */
  private static final long NORMAL_FOR_EL0 = NORMAL | 1 << 6;

  /** Not a block: the table of the next level. */
  private static final long NEXT_TABLE = 3;

  /** EL1 with its own stack, interrupts and SErrors masked. */
  private static final long PSTATE = 0x3c5;

  private final GuestLayout layout;
  private final int vcpus;
  private final Options options;
  private final ByteBuffer bytes;

  /**
   * @param counting whether the program walks until it has moved to another host
   * @param commands of vCPU 0
   */
  record Options(boolean mmuOn, boolean counting, List<WalkerCommand> commands) {}

  Arm64WalkerImage(GuestLayout layout, int vcpus, Options options) {
    this.layout = layout;
    this.vcpus = vcpus;
    this.options = options;
    long end = ORDERS + layout.pageCount() * Integer.BYTES + (long) vcpus * Long.BYTES;
    if (end > layout.regions().get(0).lengthBytes()) {
      throw new IllegalArgumentException(
          "the guest's own pages end 0x%x into its memory, behind the first region".formatted(end));
    }
    this.bytes = ByteBuffer.allocate((int) Pages.align(end + Pages.SIZE_BYTES - 1));
    bytes.order(ByteOrder.LITTLE_ENDIAN);
  }

  @Override
  public PageSet pages() {
    PageSet pages = new PageSet();
    pages.add(new PageRun(0, bytes.capacity() >> Pages.SHIFT));
    return pages;
  }

  @Override
  public List<Long> stackPages() {
    return List.of();
  }

  @Override
  public long countersPage() {
    return COUNTERS >> Pages.SHIFT;
  }

  @Override
  public ByteBuffer write(List<long[]> orders) throws IOException {
    writeCode();
    writeTable();
    writeCommands();
    writeParameters(orders);
    return bytes.duplicate().position(0);
  }

  private void writeCode() throws IOException {
    try (InputStream program =
        Arm64WalkerImage.class.getResourceAsStream("/guest/walker-arm64.bin")) {
      if (program == null) {
        throw new IOException(
            "no guest/walker-arm64.bin on the class path; `make -C testbed/guest` makes it with a"
                + " compiler for arm64");
      }
      byte[] code = program.readNBytes(CODE_BYTES_MAX + 1);
      if (code.length > CODE_BYTES_MAX) {
        throw new IllegalStateException(
            "the program is longer than %d bytes".formatted(CODE_BYTES_MAX));
      }
      bytes.put(0, code);
    }
  }

  private void writeTable() {
    bytes.putLong(TABLE, DEVICES);
    for (GuestRegion region : layout.regions()) {
      long last = region.endAddress() - 1 >> GIB_SHIFT;
      for (long gib = region.guestPhysicalAddress() >> GIB_SHIFT; gib <= last; gib++) {
        bytes.putLong(TABLE + (int) gib * Long.BYTES, gib << GIB_SHIFT | NORMAL);
      }
    }
    writeTableForEl0();
  }

  private void writeTableForEl0() {
    bytes.putLong(
        TABLE + (int) (FOR_EL0 >> GIB_SHIFT) * Long.BYTES, RAM + TABLE_FOR_EL0 | NEXT_TABLE);
    for (int block = 0; block < Pages.SIZE_BYTES / Long.BYTES; block++) {
      bytes.putLong(
          TABLE_FOR_EL0 + block * Long.BYTES, RAM + ((long) block << BLOCK_SHIFT) | NORMAL_FOR_EL0);
    }
  }

  private void writeCommands() {
    int at = COMMANDS;
    for (WalkerCommand command : options.commands()) {
      bytes.putLong(at, command.what().ordinal());
      bytes.putLong(at + Long.BYTES, command.address());
      at += 2 * Long.BYTES;
    }
    if (at > COUNTERS) {
      throw new IllegalArgumentException(
          "%d commands do not fit".formatted(options.commands().size()));
    }
  }

  private void writeParameters(List<long[]> orders) {
    int order = ORDERS;
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      long[] pages = orders.get(vcpu);
      int block = parameters(vcpu);
      bytes.putLong(block, RAM + order);
      bytes.putLong(block + 8, pages.length);
      bytes.putLong(block + 16, RAM + COMMANDS);
      bytes.putLong(block + 24, vcpu == 0 ? options.commands().size() : 0);
      bytes.putLong(block + 32, options.mmuOn() ? RAM + TABLE : 0);
      bytes.putLong(block + 40, options.counting() ? RAM + COUNTERS + vcpu * COUNTER_BYTES : 0);
      bytes.putLong(block + 48, MOVES_WANTED);
      for (long page : pages) {
        bytes.putInt(order, (int) (layout.addressOf(page) >> Pages.SHIFT));
        order += Integer.BYTES;
      }
      order = (order + Long.BYTES - 1) & -Long.BYTES;
    }
  }

  private static int parameters(int vcpu) {
    return PARAMETERS + vcpu * PARAMETER_BYTES;
  }

  @Override
  public VcpuStates states() {
    return new VcpuStates(
        VcpuStates.AARCH64,
        Map.of(),
        IntStream.range(0, vcpus).mapToObj(Arm64WalkerImage::state).toList());
  }

  private static VcpuState state(int vcpu) {
    byte[] registers =
        new Arm64Registers()
            .put(Arm64Registers.PC, RAM)
            .put(Arm64Registers.PSTATE, PSTATE)
            .put(Arm64Registers.x(0), RAM + parameters(vcpu))
            .toBytes();
    return new VcpuState(vcpu, Map.of(Arm64Registers.SECTION, registers));
  }
}
