package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
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

/** A guest whose memory this test fills and poisons through a userfaultfd of its own. */
final class GuestFixture implements AutoCloseable {

  private static final Ioctl API = Ioctl.readWrite("UFFDIO_API", 0xAA, 0x3F, 24);
  private static final Ioctl REGISTER = Ioctl.readWrite("UFFDIO_REGISTER", 0xAA, 0x00, 32);
  private static final Ioctl COPY = Ioctl.readWrite("UFFDIO_COPY", 0xAA, 0x03, 40);
  private static final Ioctl POISON = Ioctl.readWrite("UFFDIO_POISON", 0xAA, 0x08, 32);
  private static final int MESSAGE_BYTES = 32;
  private static final int MESSAGE_ADDRESS = 16;

  private final Kernel kernel;
  private final FileChannel file;
  private final WalkerGuest walker;
  private final Guest guest;
  private final Fd userfaultfd;

  GuestFixture(Kernel kernel, GuestFactory factory, WalkerGuestBuilder builder, Path directory)
      throws IOException {
    this.kernel = kernel;
    this.file =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
    this.walker = builder.writeTo(file);
    this.guest = factory.create(walker.layout(), walker.vcpuStates());
    this.userfaultfd = kernel.openUserfaultfd(Linux.O_CLOEXEC);
    register();
  }

  private void register() throws IOException {
    NativeMemory api = NativeMemory.allocate(24);
    api.putLong(0, 0xAA);
    call(API, api);
    for (int i = 0; i < memory().layout().regions().size(); i++) {
      GuestRegion region = memory().layout().regions().get(i);
      NativeMemory register = NativeMemory.allocate(32);
      register.putLong(0, memory().hostAddressOfRegion(i));
      register.putLong(8, region.lengthBytes());
      register.putLong(16, 1);
      call(REGISTER, register);
    }
  }

  private void call(Ioctl request, NativeMemory argument) throws KernelCallException {
    int result = kernel.ioctl(userfaultfd, request, argument);
    if (result < 0) {
      throw new KernelCallException(request, userfaultfd, -result);
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

  /** The sum a vCPU should report. */
  long expectedSum(int vcpu, PageSet lost) throws IOException {
    return walker.expectedSum(file, vcpu, lost);
  }

  long expectedHash(long page) throws IOException {
    return walker.expectedHash(file, page);
  }

  /** Poisons some pages, leaves others missing, and fills the rest. */
  void fill(PageSet poisoned, PageSet missing) throws IOException {
    for (long page = 0; page < walker.layout().pageCount(); page++) {
      if (poisoned.contains(page)) {
        poison(page);
      } else if (!missing.contains(page)) {
        copy(page);
      }
    }
  }

  void poison(long page) throws IOException {
    NativeMemory poison = NativeMemory.allocate(32);
    poison.putLong(0, memory().hostAddressOf(page));
    poison.putLong(8, Pages.SIZE_BYTES);
    call(POISON, poison);
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
    ByteBuffer content = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    while (content.hasRemaining()
        && file.read(content, walker.fileOffsetOf(page) + content.position()) >= 0) {
      // a read may be short
    }
    NativeMemory copy = NativeMemory.allocate(40);
    copy.putLong(0, memory().hostAddressOf(page));
    copy.putLong(8, NativeMemory.of(content).address());
    copy.putLong(16, Pages.SIZE_BYTES);
    call(COPY, copy);
    java.lang.ref.Reference.reachabilityFence(content);
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

  GuestExit runToExit() throws Exception {
    guest.resume();
    return guest.exited().toCompletableFuture().get(200, TimeUnit.SECONDS);
  }

  @Override
  public void close() throws IOException {
    guest.close();
    userfaultfd.close();
    file.close();
  }
}
