package ward.source;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.Unpooled;
import java.nio.ByteBuffer;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.SplittableRandom;
import java.util.UUID;
import ward.memory.GuestLayout;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.memory.Pages;
import ward.poison.LedgerException;

/**
 * Looks at some pages of a paused guest's memory, to know it again later. A page that turns out to
 * be lost is recorded as lost, and left out.
 *
 * <p>Confined to the session's thread.
 */
final class MemorySamples {

  private static final int WANTED = 64;

  /** Of a guest that is mostly zeros, that many pages are looked at for others. */
  private static final int LOOKS_MAX = 1024;

  // Once: a young process takes 0.2 ms to sum up a page, and may look at a thousand of zeros while
  // the guest stands still.
  private static final String OF_ZEROS = digest(ByteBuffer.allocate(Pages.SIZE_BYTES));

  private final GuestLayout layout;
  private final ServedPages served;
  private final PageReader reader;
  private final LostPages lost;

  MemorySamples(SourceParts parts) {
    this.layout = parts.layout();
    this.served = parts.served();
    this.reader = parts.reader();
    this.lost = parts.lost();
  }

  /**
   * Draws pages for a session, rather such as are not all zeros: those every guest has.
   *
   * @throws LedgerException IO: a loss that was found could not be recorded
   */
  MemoryIdentity draw(UUID session) throws LedgerException {
    SplittableRandom random =
        new SplittableRandom(session.getMostSignificantBits() ^ session.getLeastSignificantBits());
    Set<Long> seen = new HashSet<>();
    List<PageSample> samples = new ArrayList<>();
    List<PageSample> zeros = new ArrayList<>();
    for (int looks = 0; looks < LOOKS_MAX && samples.size() < WANTED; looks++) {
      long page = random.nextLong(layout.pageCount());
      if (seen.add(page)) {
        look(page).ifPresent(look -> (look.isZero() ? zeros : samples).add(look.sample()));
      }
    }
    int room = Math.min(WANTED - samples.size(), zeros.size());
    samples.addAll(zeros.subList(0, room));
    return new MemoryIdentity(layout, samples);
  }

  /**
   * What the same pages hold now.
   *
   * @param known of this layout
   * @throws LedgerException IO: a loss that was found could not be recorded
   */
  MemoryIdentity again(MemoryIdentity known) throws LedgerException {
    List<PageSample> samples = new ArrayList<>();
    for (PageSample sample : known.samples()) {
      look(layout.pageAt(sample.address()).orElseThrow())
          .ifPresent(look -> samples.add(look.sample()));
    }
    return new MemoryIdentity(layout, samples);
  }

  private record Look(PageSample sample, boolean isZero) {}

  /** Empty if the page is lost, or cannot be read for a reason that does not make it lost. */
  private Optional<Look> look(long page) throws LedgerException {
    if (served.isLost(page)) {
      return Optional.empty();
    }
    if (reader.emptyPages(page, 1) > 0) {
      return Optional.of(look(page, OF_ZEROS, true));
    }
    ByteBuf bytes = Unpooled.directBuffer(Pages.SIZE_BYTES, Pages.SIZE_BYTES);
    try {
      PageReader.Result result = reader.read(page, 1, bytes.memoryAddress());
      if (result.stop() == PageReader.Stop.LOST) {
        lost.record(List.of(lost.unreadable(page)));
      }
      return result.stop() == PageReader.Stop.NONE
          ? Optional.of(look(page, bytes.nioBuffer(0, Pages.SIZE_BYTES)))
          : Optional.empty();
    } finally {
      bytes.release();
    }
  }

  private Look look(long page, ByteBuffer bytes) {
    boolean zero = PageAnswerer.isZero(bytes);
    return look(page, zero ? OF_ZEROS : digest(bytes), zero);
  }

  private Look look(long page, String digest, boolean zero) {
    return new Look(new PageSample(layout.addressOf(page) >>> Pages.SHIFT, digest), zero);
  }

  private static String digest(ByteBuffer page) {
    MessageDigest sha = sha256();
    sha.update(page);
    return HexFormat.of().formatHex(sha.digest());
  }

  private static MessageDigest sha256() {
    try {
      return MessageDigest.getInstance("SHA-256");
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("every Java platform has SHA-256", e);
    }
  }
}
