package ward.testbed.acpi;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.List;
import ward.memory.Pages;
import ward.vcpu.GhesLayout;
import ward.vcpu.GhesSource;

/**
 * One page of guest memory with error sources as firmware leaves them: nothing to read, everything
 * acknowledged.
 *
 * <pre>
 * +0x000  error status address registers    +0x400  block of the source for aborts
 * +0x010  read-ack registers                +0x600  block of the polled one, for at most 16 errors
 * </pre>
 *
 * <p>An operating system must not use the page for anything else: in a map of memory it is ACPI
 * NVS.
 */
public final class GhesMemory {

  private static final int READ_ACKS = 0x10;
  private static final int ABORT_BLOCK = 0x400;
  private static final int POLLED_BLOCK = 0x600;

  private final long pageAddress;
  private final GhesLayout layout;
  private final byte[] bytes;

  private GhesMemory(long pageAddress, List<GhesSource> sources) {
    this.pageAddress = pageAddress;
    layout = new GhesLayout(sources);
    ByteBuffer page = ByteBuffer.allocate(Pages.SIZE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (GhesSource source : sources) {
      page.putLong((int) (source.statusAddressRegister() - pageAddress), source.statusBlock());
      page.putLong((int) (source.readAckRegister() - pageAddress), GhesSource.READ_ACK);
    }
    bytes = page.array();
  }

  /**
   * A source for synchronous external aborts, and a polled one.
   *
   * @param pageAddress guest-physical; a multiple of 4 KiB
   */
  public static GhesMemory ofArm64(long pageAddress) {
    GhesSource aborts =
        new GhesSource(
            GhesSource.Notification.SYNCHRONOUS_EXTERNAL_ABORT,
            pageAddress,
            pageAddress + READ_ACKS,
            pageAddress + ABORT_BLOCK,
            POLLED_BLOCK - ABORT_BLOCK);
    return new GhesMemory(pageAddress, List.of(aborts, polled(pageAddress)));
  }

  /** A polled source alone: an access that meets an error is a machine check there. */
  public static GhesMemory ofX86(long pageAddress) {
    return new GhesMemory(pageAddress, List.of(polled(pageAddress)));
  }

  private static GhesSource polled(long pageAddress) {
    return new GhesSource(
        GhesSource.Notification.POLLED,
        pageAddress + GhesSource.REGISTER_BYTES,
        pageAddress + READ_ACKS + GhesSource.REGISTER_BYTES,
        pageAddress + POLLED_BLOCK,
        Pages.SIZE_BYTES - POLLED_BLOCK);
  }

  /** The same for a guest that polls none: it hears only of what it meets. */
  public GhesMemory withoutPolled() {
    return new GhesMemory(
        pageAddress,
        layout.sources().stream()
            .filter(source -> source.notification() != GhesSource.Notification.POLLED)
            .toList());
  }

  /** Where the sources are. */
  public GhesLayout layout() {
    return layout;
  }

  /** What the page holds at first. */
  public byte[] toBytes() {
    return bytes.clone();
  }
}
