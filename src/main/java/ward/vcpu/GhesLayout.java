package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/**
 * A guest's generic hardware error sources, in the order of its HEST: part of the guest's state, so
 * that the next host finds them too. They travel as 32 bytes each, little-endian:
 *
 * <pre>
 *  0  u64  statusAddressRegister      24  u32  statusBlockBytes
 *  8  u64  readAckRegister            28  u32  notification, by its number
 * 16  u64  statusBlock
 * </pre>
 */
public record GhesLayout(List<GhesSource> sources) {

  /** The name of the section of a machine's state that {@link #toBytes()} fills. */
  public static final String SECTION = "ward_ghes";

  static final StateFormat.Part PART =
      new StateFormat.Part(SECTION, 0, GhesLayout.SOURCE_BYTES, false);

  private static final int SOURCE_BYTES = 32;

  public GhesLayout {
    sources = List.copyOf(sources);
  }

  /** The first source with this notification. */
  public Optional<GhesSource> source(GhesSource.Notification notification) {
    return sources.stream().filter(source -> source.notification() == notification).findFirst();
  }

  /** The layout as it travels. */
  public byte[] toBytes() {
    ByteBuffer bytes =
        ByteBuffer.allocate(sources.size() * SOURCE_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    for (GhesSource source : sources) {
      bytes.putLong(source.statusAddressRegister()).putLong(source.readAckRegister());
      bytes.putLong(source.statusBlock()).putInt(source.statusBlockBytes());
      bytes.putInt(source.notification().number());
    }
    return bytes.array();
  }

  /**
   * Reads what {@link #toBytes()} wrote on another host.
   *
   * @param memory the guest's
   * @throws IOException saying what is wrong: a length, a notification that is unknown, an address
   *     that is not allowed or not the guest's RAM
   */
  public static GhesLayout parse(byte[] bytes, GuestLayout memory) throws IOException {
    if (bytes.length % SOURCE_BYTES != 0) {
      throw new IOException(
          "%d bytes of error sources; a multiple of %d is needed"
              .formatted(bytes.length, SOURCE_BYTES));
    }
    ByteBuffer written = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    List<GhesSource> sources = new ArrayList<>();
    while (written.hasRemaining()) {
      sources.add(inRam(parse(written), memory));
    }
    return new GhesLayout(sources);
  }

  private static GhesSource parse(ByteBuffer written) throws IOException {
    long statusAddressRegister = written.getLong();
    long readAckRegister = written.getLong();
    long statusBlock = written.getLong();
    int statusBlockBytes = written.getInt();
    GhesSource.Notification notification = notification(written.getInt());
    try {
      return new GhesSource(
          notification, statusAddressRegister, readAckRegister, statusBlock, statusBlockBytes);
    } catch (IllegalArgumentException e) {
      throw new IOException("an error source of the guest has " + e.getMessage(), e);
    }
  }

  private static GhesSource.Notification notification(int number) throws IOException {
    return Arrays.stream(GhesSource.Notification.values())
        .filter(known -> known.number() == number)
        .findFirst()
        .orElseThrow(
            () ->
                new IOException(
                    "an error source of the guest has notification %s, which this build does not"
                            .formatted(Integer.toUnsignedString(number))
                        + " know: it was written by a newer Ward; upgrade this host first"));
  }

  private static GhesSource inRam(GhesSource source, GuestLayout memory) throws IOException {
    requireInRam(source.statusAddressRegister(), GhesSource.REGISTER_BYTES, memory);
    requireInRam(source.readAckRegister(), GhesSource.REGISTER_BYTES, memory);
    requireInRam(source.statusBlock(), source.statusBlockBytes(), memory);
    return source;
  }

  private static void requireInRam(long address, long lengthBytes, GuestLayout memory)
      throws IOException {
    for (GuestRegion region : memory.regions()) {
      if (region.contains(address) && lengthBytes <= region.endAddress() - address) {
        return;
      }
    }
    throw new IOException(
        "an error source of the guest has %d bytes at GPA 0x%x, which are not all in one region of"
                .formatted(lengthBytes, address)
            + " its RAM: "
            + memory);
  }
}
