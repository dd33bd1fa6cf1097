package ward.vcpu;

import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/**
 * A guest's generic hardware error sources, in the order of its HEST: part of the guest's state, so
 * that the next host finds them too ({@code proto/ghes.proto}).
 */
public record GhesLayout(List<GhesSource> sources) {

  /** What {@link #parse} takes: sources are 40 bytes each, and a guest has one or two. */
  private static final int SOURCES_MAX = 64;

  public GhesLayout {
    sources = List.copyOf(sources);
  }

  /** The first source with this notification. */
  public Optional<GhesSource> source(GhesSource.Notification notification) {
    return sources.stream().filter(source -> source.notification() == notification).findFirst();
  }

  /** The layout as it travels. */
  public byte[] toBytes() {
    ward.vcpu.proto.GhesLayout.Builder message = ward.vcpu.proto.GhesLayout.newBuilder();
    for (GhesSource source : sources) {
      message
          .addSourcesBuilder()
          .setNotification(source.notification().number())
          .setStatusAddressRegister(source.statusAddressRegister())
          .setReadAckRegister(source.readAckRegister())
          .setStatusBlock(source.statusBlock())
          .setStatusBlockBytes(source.statusBlockBytes());
    }
    return message.build().toByteArray();
  }

  /**
   * Reads what {@link #toBytes()} wrote on another host.
   *
   * @param memory the guest's
   * @throws IOException saying what is wrong: no such message, a notification that is unknown, an
   *     address that is not allowed or not the guest's RAM
   */
  public static GhesLayout parse(byte[] bytes, GuestLayout memory) throws IOException {
    List<GhesSource> sources = new ArrayList<>();
    for (ward.vcpu.proto.GhesSource source : message(bytes).getSourcesList()) {
      sources.add(inRam(parse(source), memory));
    }
    return new GhesLayout(sources);
  }

  private static ward.vcpu.proto.GhesLayout message(byte[] bytes) throws IOException {
    try {
      ward.vcpu.proto.GhesLayout message = ward.vcpu.proto.GhesLayout.parseFrom(bytes);
      if (message.getSourcesCount() > SOURCES_MAX) {
        throw new IOException(
            "%d error sources; at most %d are allowed"
                .formatted(message.getSourcesCount(), SOURCES_MAX));
      }
      return message;
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(
          "%d bytes are not a guest's error sources: %s".formatted(bytes.length, e.getMessage()),
          e);
    }
  }

  private static GhesSource parse(ward.vcpu.proto.GhesSource source) throws IOException {
    try {
      return new GhesSource(
          notification(source.getNotification()),
          source.getStatusAddressRegister(),
          source.getReadAckRegister(),
          source.getStatusBlock(),
          source.getStatusBlockBytes());
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
