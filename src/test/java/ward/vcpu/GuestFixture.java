package ward.vcpu;

import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.ArrayList;
import java.util.HexFormat;
import java.util.List;
import java.util.concurrent.TimeUnit;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestFactory;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testbed.WalkerReports.PassDone;

/** A guest whose memory this test fills and poisons through a userfaultfd of its own. */
final class GuestFixture implements AutoCloseable {

  private static final Ioctl API = Ioctl.readWrite("UFFDIO_API", 0xAA, 0x3F, 24);
  private static final Ioctl WAKE = Ioctl.read("UFFDIO_WAKE", 0xAA, 0x02, 16);
  private static final Ioctl UNREGISTER = Ioctl.read("UFFDIO_UNREGISTER", 0xAA, 0x01, 16);
  private static final Ioctl REGISTER = Ioctl.readWrite("UFFDIO_REGISTER", 0xAA, 0x00, 32);
  private static final Ioctl COPY = Ioctl.readWrite("UFFDIO_COPY", 0xAA, 0x03, 40);
  private static final Ioctl POISON = Ioctl.readWrite("UFFDIO_POISON", 0xAA, 0x08, 32);

  /** Where every instruction is emulated, a walk takes minutes. */
  private static final long RUN_SECONDS_MAX = 280;

  private static final long SETTLE_MILLIS = 1_000;

  /** UFFD_FEATURE_POISON. */
  private static final long POISONS = 1 << 14;

  /** UFFD_FEATURE_SIGBUS. */
  private static final long SIGBUS_INSTEAD_OF_WAITING = 1 << 7;

  /** Where the guest's page directory pointers have the fifth GiB. */
  private static final long HIGH_MEMORY_ENTRY = 0x2000 + 4 * Long.BYTES;

  private static final int MESSAGE_BYTES = 32;
  private static final int MESSAGE_ADDRESS = 16;

  private final Kernel kernel;
  private final FileChannel file;
  private final WalkerGuest walker;
  private final Guest guest;
  private final int unitBytes;
  private final boolean ownsMemory;
  private final Fd userfaultfd;
  private final List<Fd> refusing = new ArrayList<>();
  private final boolean knowsPoison;
  private LostPage lost; // null before it is needed

  GuestFixture(Kernel kernel, GuestFactory factory, WalkerGuestBuilder builder, Path directory)
      throws IOException {
    this(kernel, factory, builder, directory, Pages.SIZE_BYTES, false);
  }

  /** A guest over memory that is made for this test, and unmapped after it. */
  GuestFixture(
      Kernel kernel,
      KvmGuestFactory factory,
      WalkerGuestBuilder builder,
      Path directory,
      Backing backing)
      throws IOException {
    this(
        kernel,
        (layout, states) -> factory.createOver(backing.map(kernel, layout), states),
        builder,
        directory,
        backing.pageBytes,
        true);
  }

  /**
   * @param unitBytes the size of the host's pages
   */
  private GuestFixture(
      Kernel kernel,
      GuestFactory factory,
      WalkerGuestBuilder builder,
      Path directory,
      int unitBytes,
      boolean ownsMemory)
      throws IOException {
    this.kernel = kernel;
    this.unitBytes = unitBytes;
    this.ownsMemory = ownsMemory;
    this.file =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    this.walker = builder.writeTo(file);
    this.guest = factory.create(walker.layout(), walker.vcpuStates());
    this.userfaultfd = kernel.openUserfaultfd(Linux.O_CLOEXEC);
    this.knowsPoison = (register() & POISONS) != 0;
  }

  /** What the kernel's userfaultfd can do. */
  private long register() throws IOException {
    long features = shakeHands(userfaultfd, 0);
    for (int i = 0; i < memory().layout().regions().size(); i++) {
      GuestRegion region = memory().layout().regions().get(i);
      register(userfaultfd, memory().hostAddressOfRegion(i), region.lengthBytes());
    }
    return features;
  }

  private long shakeHands(Fd fd, long features) throws KernelCallException {
    NativeMemory api = NativeMemory.allocate(24);
    api.putLong(0, 0xAA);
    api.putLong(8, features);
    call(fd, API, api);
    return api.getLong(8);
  }

  private void register(Fd fd, long address, long lengthBytes) throws KernelCallException {
    NativeMemory register = NativeMemory.allocate(32);
    register.putLong(0, address);
    register.putLong(8, lengthBytes);
    register.putLong(16, 1);
    call(fd, REGISTER, register);
  }

  private void call(Ioctl request, NativeMemory argument) throws KernelCallException {
    call(userfaultfd, request, argument);
  }

  private void call(Fd fd, Ioctl request, NativeMemory argument) throws KernelCallException {
    int result = kernel.ioctl(fd, request, argument);
    if (result < 0) {
      throw new KernelCallException(request, fd, -result);
    }
  }

  WalkerGuest walker() {
    return walker;
  }

  Guest guest() {
    return guest;
  }

  private GuestMemory memory() {
    return guest.memory();
  }

  /** Pages by their index. */
  static PageSet pages(long... pages) {
    PageSet set = new PageSet();
    for (long page : pages) {
      set.add(page);
    }
    return set;
  }

  /** What a vCPU should report of a walk over its pages. */
  PassDone pass(int vcpu, int pass, PageSet lost) throws IOException {
    long[] order = walker.orders().get(vcpu);
    int lostHere = 0;
    for (long page : order) {
      lostHere += lost.contains(page) ? 1 : 0;
    }
    return new PassDone(vcpu, pass, order.length - lostHere, lostHere, expectedSum(vcpu, lost));
  }

  /** The sum a vCPU should report. */
  long expectedSum(int vcpu, PageSet lost) throws IOException {
    return walker.expectedSum(file, vcpu, lost);
  }

  long expectedHash(long page) throws IOException {
    return walker.expectedHash(file, page);
  }

  /** Fills what the guest needs to run, and a page; all others are left missing. */
  void fillImageAnd(long page) throws IOException {
    PageSet wanted = walker.imagePages().copy();
    wanted.add(page);
    fillOnly(wanted);
  }

  /** Fills what the guest needs to run, but for a page. */
  void fillImageWithout(long page) throws IOException {
    PageSet wanted = walker.imagePages().copy();
    wanted.remove(page);
    fillOnly(wanted);
  }

  private void fillOnly(PageSet wanted) throws IOException {
    PageSet units = new PageSet();
    wanted.forEach(each -> units.add(each & -unitPages()));
    PageSet missing = new PageSet();
    for (long each = 0; each < walker.layout().pageCount(); each++) {
      if (!units.contains(each)) {
        missing.add(each);
      }
    }
    fill(new PageSet(), missing);
  }

  private int unitPages() {
    return unitBytes / Pages.SIZE_BYTES;
  }

  /** Poisons some pages, leaves others missing, and fills the rest. */
  void fill(PageSet poisoned, PageSet missing) throws IOException {
    for (long page = 0; page < walker.layout().pageCount(); page += unitPages()) {
      if (poisoned.contains(page)) {
        poison(page);
      } else if (!missing.contains(page)) {
        copy(page);
      }
    }
  }

  void poison(long page) throws IOException {
    NativeMemory poison = NativeMemory.allocate(32);
    poison.putLong(0, memory().hostAddressOf(page & -unitPages()));
    poison.putLong(8, unitBytes);
    if (knowsPoison) {
      call(POISON, poison);
    } else {
      assumeTrue(unitBytes == Pages.SIZE_BYTES, "without UFFDIO_POISON huge pages stay whole");
      lostPage().putAt(poison.getLong(0));
      call(WAKE, poison);
    }
  }

  private LostPage lostPage() throws KernelCallException {
    if (lost == null) {
      lost = new LostPage(kernel);
    }
    return lost;
  }

  /** Whoever touches a missing page has SIGBUS from now on, and waits no more. */
  void refuse(long page) throws IOException {
    NativeMemory range = NativeMemory.allocate(16);
    range.putLong(0, memory().hostAddressOf(page));
    range.putLong(8, unitBytes);
    call(UNREGISTER, range);
    Fd other = kernel.openUserfaultfd(Linux.O_CLOEXEC);
    refusing.add(other);
    shakeHands(other, SIGBUS_INSTEAD_OF_WAITING);
    register(other, memory().hostAddressOf(page), unitBytes);
  }

  long hostAddressOf(long page) {
    return memory().hostAddressOf(page);
  }

  /**
   * Puts the end of an empty file in the place of pages: a touch raises SIGBUS, and KVM_RUN answers
   * EFAULT.
   */
  void makeUnreadable(PageSet pages) throws IOException {
    try (Fd empty = kernel.createMemfd("unreadable", 0)) {
      for (long page = 0; page < walker.layout().pageCount(); page++) {
        long address = memory().hostAddressOf(page);
        if (pages.contains(page) && kernel.mapOver(empty, address, address, Pages.SIZE_BYTES) < 0) {
          throw new IOException("page %d cannot be replaced".formatted(page));
        }
      }
    }
  }

  void copy(long page) throws IOException {
    ByteBuffer content = ByteBuffer.allocateDirect(unitBytes);
    while (content.hasRemaining()
        && file.read(content, walker.fileOffsetOf(page) + content.position()) >= 0) {
      // a read may be short
    }
    NativeMemory copy = NativeMemory.allocate(40);
    copy.putLong(0, memory().hostAddressOf(page));
    copy.putLong(8, NativeMemory.of(content).address());
    copy.putLong(16, unitBytes);
    call(COPY, copy);
    java.lang.ref.Reference.reachabilityFence(content);
  }

  /** The end of a page, hexadecimal, as the file holds it. */
  String lastBytes(long page, int count) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(count);
    long from = walker.fileOffsetOf(page) + Pages.SIZE_BYTES - count;
    while (bytes.hasRemaining() && file.read(bytes, from + bytes.position()) >= 0) {
      // a read may be short
    }
    return HexFormat.of().formatHex(bytes.array());
  }

  /** The page with the table for the memory from 4 GiB on, as the x86-64 guest's own tables say. */
  long tableOfHighMemory() throws IOException {
    ByteBuffer entry = ByteBuffer.allocate(Long.BYTES).order(ByteOrder.LITTLE_ENDIAN);
    while (entry.hasRemaining() && file.read(entry, HIGH_MEMORY_ENTRY + entry.position()) >= 0) {
      // a read may be short
    }
    return entry.getLong(0) >>> Pages.SHIFT;
  }

  /** Waits until someone touches a missing page, and returns that page. */
  long awaitFault() {
    NativeMemory message = NativeMemory.allocate(MESSAGE_BYTES);
    long length = kernel.read(userfaultfd, message.address(), MESSAGE_BYTES);
    if (length != MESSAGE_BYTES) {
      throw new IllegalStateException("read of a userfaultfd answered " + length);
    }
    return memory().pageAtHostAddress(message.getLong(MESSAGE_ADDRESS)).orElseThrow();
  }

  /** Waits until the guest's threads have done what they do before the guest runs. */
  void awaitVcpus() throws InterruptedException {
    guest.pause();
    Thread.sleep(SETTLE_MILLIS);
  }

  GuestExit runToExit() throws Exception {
    guest.resume();
    return guest.exited().toCompletableFuture().get(RUN_SECONDS_MAX, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws IOException {
    guest.close();
    userfaultfd.close();
    refusing.forEach(Fd::close);
    if (lost != null) {
      lost.close();
    }
    if (ownsMemory) {
      unmap();
    }
    file.close();
  }

  private void unmap() {
    for (int i = 0; i < memory().layout().regions().size(); i++) {
      kernel.unmap(
          memory().hostAddressOfRegion(i), memory().layout().regions().get(i).lengthBytes());
    }
  }
}
