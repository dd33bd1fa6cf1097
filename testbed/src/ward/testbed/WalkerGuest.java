package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageSet;
import ward.memory.Pages;

/**
 * A guest that reads all of its memory, as {@link WalkerGuestBuilder} made it.
 *
 * @param vcpuStates as {@code ward.vcpu.VcpuStates} writes them
 * @param imagePages page indexes of tables, code, stacks and orders: poison there ends the guest
 * @param stackPages the only pages that the guest writes; it leaves them as it found them
 * @param counterPages pages that the guest writes and does not read; none in a guest that counts
 *     nothing
 * @param orders for each vCPU the page indexes it reads, in order, once in every pass
 */
public record WalkerGuest(
    GuestLayout layout,
    byte[] vcpuStates,
    PageSet imagePages,
    PageSet stackPages,
    PageSet counterPages,
    List<long[]> orders) {

  /**
   * The sum that a vCPU should report at the end of each pass.
   *
   * @param memory the file that the builder wrote
   * @param lost page indexes whose content is gone; they add nothing
   */
  public long expectedSum(FileChannel memory, int vcpu, PageSet lost) throws IOException {
    long sum = 0;
    for (long page : orders.get(vcpu)) {
      if (!lost.contains(page)) {
        sum += expectedHash(memory, page);
      }
    }
    return sum;
  }

  /**
   * The hash of a page as the file holds it. A stack is wiped before it is read, also where the
   * guest was stopped in the middle of its use.
   */
  public long expectedHash(FileChannel memory, long page) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Pages.SIZE_BYTES);
    if (stackPages.contains(page)) {
      return WalkerHash.of(bytes, layout.addressOf(page));
    }
    long offset = fileOffsetOf(page);
    while (bytes.hasRemaining() && memory.read(bytes, offset + bytes.position()) >= 0) {
      // a read may be short
    }
    return WalkerHash.of(bytes.rewind(), layout.addressOf(page));
  }

  /** Where a page's content stands in the memory file, bytes. */
  public long fileOffsetOf(long page) {
    int region = layout.regionOf(page);
    GuestRegion holder = layout.regions().get(region);
    return holder.fileOffset() + Pages.bytes(page - layout.firstPageOf(region));
  }
}
