package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.SplittableRandom;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.vcpu.X86CpuModel;

/**
 * Makes a paused guest out of nothing: its memory as a file, and its vCPUs.
 *
 * <p>Three quarters of the memory begin at address 0, on arm64 at 1 GiB (at most 3 GiB), the rest
 * at 4 GiB. All pages are read, each by one vCPU, in an order drawn from the seed. The same
 * arguments make the same guest.
 */
public final class WalkerGuestBuilder {

  private static final long MIB = 1 << 20;
  private static final long LOW_BYTES_MAX = 3L << 30;
  private static final long HIGH_ADDRESS = 4L << 30;

  /** Order arrays hold 32 bits a page and are built in one Java array. */
  private static final long MEMORY_BYTES_MAX = 256L << 30;

  private static final long KEEP_MACHINE_CHECK_IN_PROGRESS = 1;
  private static final long LOOK_AT_BANK = 1 << 1;
  private static final long USE_DEVICE = 1 << 2;
  private static final long HEAR_FIRST = 1 << 3;

  /** What keeps machine checks away from a vCPU. */
  public enum Shut {
    /** CR4.MCE is clear. */
    BY_CR4(1 << 4),
    /** MCG_STATUS.MCIP is set, as by a handler that has not come to its end. */
    BY_MCIP(1 << 5);

    private final long flag;

    Shut(long flag) {
      this.flag = flag;
    }
  }

  /** Guests are made for the machine that they run on. */
  private static final boolean IS_ARM64 = System.getProperty("os.arch").equals("aarch64");

  private final long memoryBytes;
  private final int vcpus;
  private final long seed;
  private String program = "walker";
  private IntFunction<long[]> moreParameters = vcpu -> new long[0];
  private boolean counting;
  private int pagesRead = Integer.MAX_VALUE;
  private int ring = 3;
  private boolean mmuOn = true;
  private boolean walks = true;
  private List<WalkerCommand> commands = List.of();
  private long flags;
  private Map<String, byte[]> sections = Map.of();

  /**
   * @param memoryBytes a multiple of 8 MiB, at least 16 MiB
   * @param vcpus 1 to 64
   */
  public WalkerGuestBuilder(long memoryBytes, int vcpus, long seed) {
    if (memoryBytes < 16 * MIB || memoryBytes % (8 * MIB) != 0 || memoryBytes > MEMORY_BYTES_MAX) {
      throw new IllegalArgumentException(
          "memoryBytes %d; a multiple of 8 MiB from 16 MiB to 256 GiB is allowed"
              .formatted(memoryBytes));
    }
    if (vcpus < 1 || vcpus > WalkerImage.VCPUS_MAX) {
      throw new IllegalArgumentException(
          "%d vCPUs; 1 to %d are allowed".formatted(vcpus, WalkerImage.VCPUS_MAX));
    }
    this.memoryBytes = memoryBytes;
    this.vcpus = vcpus;
    this.seed = seed;
  }

  /**
   * Lets the program run in ring 0, as an operating system's kernel does; the default is ring 3.
   */
  public WalkerGuestBuilder inRing0() {
    ring = 0;
    return this;
  }

  /** Lets the machine check handler return without clearing MCG_STATUS.MCIP. */
  public WalkerGuestBuilder keepingMachineCheckInProgress() {
    flags |= KEEP_MACHINE_CHECK_IN_PROGRESS;
    return this;
  }

  /**
   * Runs another program in the walker's place.
   *
   * @param name of a source in {@code testbed/guest}, without its ending
   * @param parameters what follows those that every program has
   */
  public WalkerGuestBuilder running(String name, long... parameters) {
    program = name;
    moreParameters = vcpu -> parameters;
    return this;
  }

  /**
   * Lets the program walk until it has moved to another host, and then twice more, and count what
   * it does in every kind of register and in memory.
   */
  public WalkerGuestBuilder walkingUntilMoved() {
    return walkingUntilMoved(1);
  }

  /** As {@link #walkingUntilMoved()}, over that many moves. */
  public WalkerGuestBuilder walkingUntilMoved(int moves) {
    counting = true;
    moreParameters = vcpu -> new long[] {X86WalkerImage.counters(vcpu), moves};
    return this;
  }

  /**
   * Lets the program wait before one of its two passes until it has moved, and until it has heard
   * of errors without meeting them.
   *
   * @param pass 0 or 1
   * @param moves how often it has to have moved
   * @param errors of how many, for each vCPU
   */
  public WalkerGuestBuilder hearingFirst(int pass, int moves, long... errors) {
    flags |= HEAR_FIRST;
    moreParameters = vcpu -> new long[] {0, moves, errors[vcpu], pass};
    return this;
  }

  /** Keeps machine checks away for a while after the move for which it waits; only in ring 0. */
  public WalkerGuestBuilder shut(Shut how) {
    flags |= how.flag;
    return this;
  }

  /**
   * Lets each vCPU read only the beginning of its share.
   *
   * @param pages at least 1: the first is the vCPU's own stack
   */
  public WalkerGuestBuilder reading(int pages) {
    pagesRead = pages;
    return this;
  }

  /** Where a vCPU's parameters are: the same in the memory file and for the guest. */
  public static long parametersAddress(int vcpu) {
    return X86WalkerImage.parameters(vcpu);
  }

  /**
   * Lets the program look for a deferred error before each page, as an operating system does from
   * time to time; only in ring 0 it may.
   */
  public WalkerGuestBuilder lookingForDeferredErrors() {
    flags |= LOOK_AT_BANK;
    return this;
  }

  /** Lets the program have each lost page copied by a device, too. */
  public WalkerGuestBuilder usingDevice() {
    flags |= USE_DEVICE;
    return this;
  }

  /** Gives the guest other processors than this host's. */
  public WalkerGuestBuilder withCpuid(byte[] cpuid) {
    sections = Map.of(X86CpuModel.SECTION, cpuid);
    return this;
  }

  /** On arm64: what vCPU 0 does after its walks. */
  public WalkerGuestBuilder doing(List<WalkerCommand> after) {
    commands = List.copyOf(after);
    return this;
  }

  /** On arm64: no page is walked, only commands are carried out. */
  public WalkerGuestBuilder withoutWalks() {
    walks = false;
    return this;
  }

  /** On arm64: addresses are not translated. */
  public WalkerGuestBuilder withoutMmu() {
    mmuOn = false;
    return this;
  }

  /** The layout that the guest will have. */
  public GuestLayout layout() {
    long lowBytes = Math.min(memoryBytes / 4 * 3, LOW_BYTES_MAX);
    return new GuestLayout(
        "walker-" + seed,
        List.of(
            new GuestRegion(IS_ARM64 ? Arm64WalkerImage.RAM : 0, lowBytes, 0),
            new GuestRegion(HIGH_ADDRESS, memoryBytes - lowBytes, lowBytes)));
  }

  /**
   * Writes the guest's memory. About one page in four stays a hole of the file, so it reads as
   * zeros.
   *
   * @param memoryFile empty, open for writing
   */
  public WalkerGuest writeTo(FileChannel memoryFile) throws IOException {
    GuestLayout layout = layout();
    WalkerImage image = image(layout);
    PageSet counterPages = counterPages(image);
    List<long[]> orders = orders(layout.pageCount(), image.stackPages(), counterPages);
    writeFully(memoryFile, ByteBuffer.allocate(1), memoryBytes - 1);
    writeContent(memoryFile, layout.pageCount(), image.pages());
    ByteBuffer bytes =
        image.write(walks ? orders : orders.stream().map(order -> new long[0]).toList());
    writeFully(memoryFile, bytes, bytes.position());
    return new WalkerGuest(
        layout,
        image.states().toBytes(),
        image.pages(),
        setOf(image.stackPages()),
        counterPages,
        orders);
  }

  private WalkerImage image(GuestLayout layout) {
    return IS_ARM64
        ? new Arm64WalkerImage(
            layout, vcpus, new Arm64WalkerImage.Options(mmuOn, counting, commands))
        : new X86WalkerImage(
            layout,
            vcpus,
            new X86WalkerImage.Options(program, ring, flags, moreParameters, sections));
  }

  private void writeContent(FileChannel memoryFile, long pageCount, PageSet imagePages)
      throws IOException {
    SplittableRandom random = new SplittableRandom(seed);
    ByteBuffer page = ByteBuffer.allocateDirect(Pages.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (long i = 0; i < pageCount; i++) {
      boolean hole = random.nextInt(4) == 0;
      if (!hole && !imagePages.contains(i)) {
        page.clear();
        while (page.hasRemaining()) {
          page.putLong(random.nextLong());
        }
        writeFully(memoryFile, page.flip(), Pages.bytes(i));
      }
    }
  }

  private static void writeFully(FileChannel file, ByteBuffer bytes, long offset)
      throws IOException {
    long position = offset;
    while (bytes.hasRemaining()) {
      position += file.write(bytes, position);
    }
  }

  private List<long[]> orders(long pageCount, List<Long> stackPages, PageSet counterPages) {
    long[] shuffled =
        Arrays.stream(shuffled((int) pageCount))
            .filter(page -> !counterPages.contains(page))
            .toArray();
    int[] shareStarts =
        IntStream.rangeClosed(0, vcpus).map(v -> share(v, shuffled.length)).toArray();
    // The wiping of a stack is seen in order only by the vCPU that does it, so that one reads it.
    for (int vcpu = 0; vcpu < stackPages.size(); vcpu++) {
      swap(shuffled, shareStarts[vcpu], indexOf(shuffled, stackPages.get(vcpu)));
    }
    List<long[]> orders = new ArrayList<>();
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      int end = (int) Math.min(shareStarts[vcpu + 1], (long) shareStarts[vcpu] + pagesRead);
      orders.add(Arrays.copyOfRange(shuffled, shareStarts[vcpu], end));
    }
    return orders;
  }

  private int share(int vcpu, long pageCount) {
    return (int) (pageCount * vcpu / vcpus);
  }

  private long[] shuffled(int pageCount) {
    SplittableRandom random = new SplittableRandom(~seed);
    long[] pages = new long[pageCount];
    for (int i = 0; i < pageCount; i++) {
      pages[i] = i;
      swap(pages, i, random.nextInt(i + 1));
    }
    return pages;
  }

  private static int indexOf(long[] pages, long page) {
    return IntStream.range(0, pages.length).filter(i -> pages[i] == page).findFirst().orElseThrow();
  }

  private static void swap(long[] pages, int one, int other) {
    long page = pages[one];
    pages[one] = pages[other];
    pages[other] = page;
  }

  /** What changes under the reader is not read. */
  private PageSet counterPages(WalkerImage image) {
    PageSet pages = new PageSet();
    if (counting) {
      pages.add(image.countersPage());
    }
    return pages;
  }

  private static PageSet setOf(List<Long> stackPages) {
    PageSet pages = new PageSet();
    stackPages.forEach(pages::add);
    return pages;
  }
}
