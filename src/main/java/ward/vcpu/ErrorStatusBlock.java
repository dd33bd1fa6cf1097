package ward.vcpu;

import java.lang.invoke.VarHandle;
import java.util.OptionalLong;
import jnr.constants.platform.Errno;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.memory.Pages;

/**
 * The block and the read-ack register of one {@link GhesSource} in guest memory, and the order in
 * which they are written.
 *
 * <p>The kernel makes every copy: a page that is missing makes the calling thread wait in native
 * code until the page has come, and one that is poisoned answers {@code EFAULT}. The guest may look
 * at the block at any moment, so what makes it a record, its block status, is written last, after
 * the read-ack register was cleared: an acknowledgement can then only be meant for this record.
 *
 * <p>Used by one thread at a time. Little-endian, as hosts and guests of x86-64 and arm64 are.
 */
final class ErrorStatusBlock {

  /** What became of a record. */
  enum Outcome {
    /** The guest finds it when it looks. */
    WRITTEN,
    /** The guest has not acknowledged the record before it, which stands there untouched. */
    UNACKNOWLEDGED,
    /** The source's memory cannot be reached, for a reason that is in the log. */
    UNREACHABLE
  }

  private static final Logger LOG = LoggerFactory.getLogger(ErrorStatusBlock.class);

  private final Kernel kernel;
  private final GhesSource source;
  private final long block;
  private final long readAck;
  private final NativeMemory scratch;

  /**
   * @throws IllegalArgumentException if the source is not in the guest's RAM
   */
  ErrorStatusBlock(Kernel kernel, GuestMemory memory, GhesSource source) {
    this.kernel = kernel;
    this.source = source;
    this.block = hostAddress(memory, source.statusBlock());
    this.readAck = hostAddress(memory, source.readAckRegister());
    this.scratch = NativeMemory.allocate(source.statusBlockBytes());
  }

  private static long hostAddress(GuestMemory memory, long guestPhysicalAddress) {
    OptionalLong page = memory.layout().pageAt(guestPhysicalAddress);
    if (page.isEmpty()) {
      throw new IllegalArgumentException(
          "an error source at GPA 0x%x, which is not the guest's RAM"
              .formatted(guestPhysicalAddress));
    }
    return memory.hostAddressOf(page.getAsLong())
        + guestPhysicalAddress
        - Pages.align(guestPhysicalAddress);
  }

  /** How many errors one record can hold. */
  int errorsMax() {
    return source.errorsMax();
  }

  /** Writes a record if the guest is done with the one before. */
  Outcome write(ErrorRecord record) {
    try {
      if ((readAcknowledgement() & GhesSource.READ_ACK) == 0) {
        return Outcome.UNACKNOWLEDGED;
      }
      publish(record.toBytes());
      return Outcome.WRITTEN;
    } catch (KernelCallException e) {
      LOG.error("no error record reaches the guest: {}", e.getMessage());
      return Outcome.UNREACHABLE;
    }
  }

  private long readAcknowledgement() throws KernelCallException {
    copy(scratch.address(), readAck, GhesSource.REGISTER_BYTES, source.readAckRegister());
    return scratch.getLong(0);
  }

  private void publish(byte[] record) throws KernelCallException {
    scratch.putBytes(0, record);
    int blockStatus = scratch.getInt(0);
    scratch.putInt(0, 0);
    copy(block, scratch.address(), record.length, source.statusBlock());
    scratch.putLong(0, 0);
    copy(readAck, scratch.address(), GhesSource.REGISTER_BYTES, source.readAckRegister());
    scratch.putInt(0, blockStatus);
    // The guest may poll on another processor: it must not see the status before the rest.
    VarHandle.releaseFence();
    copy(block, scratch.address(), ErrorRecord.BLOCK_STATUS_BYTES, source.statusBlock());
  }

  private void copy(long to, long from, long lengthBytes, long guestPhysicalAddress)
      throws KernelCallException {
    long copied = kernel.copy(to, from, lengthBytes);
    if (copied < 0) {
      throw new KernelCallException(
          "copying", "GPA 0x%x".formatted(guestPhysicalAddress), (int) -copied);
    }
    if (copied < lengthBytes) {
      throw new KernelCallException(
          "copying", "GPA 0x%x".formatted(guestPhysicalAddress + copied), Errno.EFAULT.intValue());
    }
  }
}
