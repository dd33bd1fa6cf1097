package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.time.Instant;
import java.util.Arrays;
import java.util.OptionalLong;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;
import jnr.constants.platform.Errno;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.NativeMemory;
import ward.memory.Pages;
import ward.poison.Severity;

/**
 * A device that copies a page of guest memory into its buffer, or its buffer into a page, on a
 * thread of its own: the least that behaves as a disk or a network card does when its buffers are
 * lost.
 *
 * <p>The copy is the kernel's, so lost memory ends the request and nothing else: the guest sees the
 * status, no vCPU takes a machine check. A request that is under way when the guest is paused is
 * finished first; registers and buffer are part of the guest's state.
 *
 * <pre>
 *  0..7  write   guest-physical address, a multiple of 4096; low byte first
 *  8     write   command: 1 page into buffer, 2 buffer into page
 *  9     read    status: 0 idle, 1 busy, 2 done, 3 failed
 * </pre>
 */
final class CopyDevice implements ByteRegisters {

  /** The name of its state among the machine's sections. */
  static final String SECTION = "ward_copy_device";

  /** The address, low byte first, the status, 7 zeros, and the buffer. */
  static final int STATE_BYTES = 2 * Long.BYTES + Pages.SIZE_BYTES;

  /** The I/O port of its first register. */
  static final int PORT = 0x520;

  static final int COMMAND = 8;
  static final int STATUS = 9;
  static final int PAGE_INTO_BUFFER = 1;
  static final int BUFFER_INTO_PAGE = 2;
  static final int IDLE = 0;
  static final int BUSY = 1;
  static final int DONE = 2;
  static final int FAILED = 3;

  /** In errors: no vCPU has met it. */
  static final int NO_VCPU = -1;

  private static final Logger LOG = LoggerFactory.getLogger(CopyDevice.class);
  private static final String NAME = "copying device";
  private static final int EHWPOISON = Errno.EHWPOISON.intValue();
  private static final int REGISTERS = 10;
  private static final int ALL_ONES = 0xff;
  private static final int STATE_STATUS = Long.BYTES;
  private static final int STATE_BUFFER = 2 * Long.BYTES;

  private final Kernel kernel;
  private final GuestMemory memory;
  private final MemoryErrors errors;
  private final Consumer<String> onFailure;
  private final NativeMemory buffer = NativeMemory.allocate(Pages.SIZE_BYTES);
  private final ExecutorService thread =
      Executors.newSingleThreadExecutor(CopyDevice::deviceThread);
  private long address;
  private int status = IDLE;

  /**
   * @param onFailure ends the guest, for the reason given: a loss could not be written down
   */
  CopyDevice(Kernel kernel, GuestMemory memory, MemoryErrors errors, Consumer<String> onFailure) {
    this.kernel = kernel;
    this.memory = memory;
    this.errors = errors;
    this.onFailure = onFailure;
  }

  private static Thread deviceThread(Runnable task) {
    Thread thread = new Thread(task, "copy-device");
    thread.setDaemon(true);
    return thread;
  }

  @Override
  public int count() {
    return REGISTERS;
  }

  @Override
  public synchronized int read(int register) {
    return register == STATUS ? status : ALL_ONES;
  }

  @Override
  public synchronized void write(int register, int value) {
    if (status == BUSY) {
      return;
    }
    if (register < COMMAND) {
      int shift = Byte.SIZE * register;
      address = address & ~(0xffL << shift) | (long) value << shift;
    } else if (register == COMMAND) {
      begin(value);
    }
  }

  private void begin(int command) {
    OptionalLong page = memory.layout().pageAt(address);
    boolean known = command == PAGE_INTO_BUFFER || command == BUFFER_INTO_PAGE;
    if (!known || page.isEmpty() || !Pages.isAligned(address)) {
      status = FAILED;
      return;
    }
    status = BUSY;
    long gpa = address;
    long hostAddress = memory.hostAddressOf(page.getAsLong());
    thread.execute(() -> serve(command, gpa, hostAddress));
  }

  /** A missing page is waited for here, as any access to it waits. */
  private void serve(int command, long gpa, long hostAddress) {
    boolean inward = command == PAGE_INTO_BUFFER;
    long to = inward ? buffer.address() : hostAddress;
    long from = inward ? hostAddress : buffer.address();
    long copied = kernel.copy(to, from, Pages.SIZE_BYTES);
    if (copied == Pages.SIZE_BYTES) {
      end(DONE);
    } else {
      onUnreachable(gpa, hostAddress, copied);
    }
  }

  private void onUnreachable(long gpa, long hostAddress, long copied) {
    try {
      if (isLost(gpa, hostAddress)) {
        record(gpa, hostAddress);
      } else {
        LOG.warn(
            "the {} cannot reach GPA 0x{} ({}), which is not known to be lost",
            NAME,
            Long.toHexString(gpa),
            copied);
      }
      end(FAILED);
    } catch (IOException | RuntimeException e) {
      LOG.error("the {} cannot go on", NAME, e);
      onFailure.accept("the %s cannot go on: %s".formatted(NAME, e.getMessage()));
    }
  }

  /** {@code EFAULT} does not name a loss, so the host is asked, whose answer then does. */
  private boolean isLost(long gpa, long hostAddress) {
    return errors.isKnown(gpa)
        || kernel.advise(hostAddress, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ) == -EHWPOISON;
  }

  private void record(long gpa, long hostAddress) throws IOException {
    MemoryError error =
        new MemoryError(
            OptionalLong.of(gpa),
            Severity.ACTION_REQUIRED,
            errors.lostExtentAt(gpa).orElse(Pages.SHIFT),
            MemoryError.Input.DEVICE_COPY,
            NO_VCPU);
    errors.consumed(error);
    MemoryErrorEvent event =
        new MemoryErrorEvent(
            Instant.now(), error, OptionalLong.of(hostAddress), new FailedRequest(NAME));
    LOG.info("{}", event);
    errors.injected(event);
  }

  private synchronized void end(int outcome) {
    status = outcome;
    notifyAll();
  }

  /**
   * Waits for the request at hand, so that nothing writes to a paused guest's memory.
   *
   * @return whether there is none any more
   */
  synchronized boolean settle(long millisMax) {
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(millisMax);
    long left = millisMax;
    boolean interrupted = false;
    while (status == BUSY && left > 0) {
      try {
        wait(left);
      } catch (InterruptedException e) {
        interrupted = true;
      }
      left = TimeUnit.NANOSECONDS.toMillis(deadline - System.nanoTime());
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return status != BUSY;
  }

  synchronized boolean isBusy() {
    return status == BUSY;
  }

  /**
   * {@link #STATE_BYTES} long.
   *
   * @throws IllegalStateException while a request is under way
   */
  synchronized byte[] state() {
    if (status == BUSY) {
      throw new IllegalStateException(
          "the %s is busy; it is saved when it has settled".formatted(NAME));
    }
    ByteBuffer state = ByteBuffer.allocate(STATE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    state.putLong(0, address).put(STATE_STATUS, (byte) status);
    return state.put(STATE_BUFFER, buffer.getBytes(0, Pages.SIZE_BYTES)).array();
  }

  /**
   * Puts in what {@link #state()} said elsewhere; before the guest runs.
   *
   * @throws IOException if the status is one that no settled device has
   */
  synchronized void restore(byte[] state) throws IOException {
    int saved = Byte.toUnsignedInt(state[STATE_STATUS]);
    if (saved != IDLE && saved != DONE && saved != FAILED) {
      throw new IOException(
          "section %s has the status %d; %d, %d and %d are allowed"
              .formatted(SECTION, saved, IDLE, DONE, FAILED));
    }
    status = saved;
    address = ByteBuffer.wrap(state).order(ByteOrder.LITTLE_ENDIAN).getLong();
    buffer.putBytes(0, Arrays.copyOfRange(state, STATE_BUFFER, STATE_BYTES));
  }

  /** Ends the device. The memory may only be unmapped if this is true: else it waits for a page. */
  boolean stop(long millisMax) {
    thread.shutdown();
    return settle(millisMax);
  }
}
