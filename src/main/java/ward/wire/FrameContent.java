package ward.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.wire.PageAnswer.Data;

/**
 * What one peer's frames say, once all of their bytes are there: the rules of each kind, and of the
 * version that the peer speaks.
 */
final class FrameContent {

  private static final Logger LOG = LoggerFactory.getLogger(FrameContent.class);

  private ProtocolVersion peer = ProtocolVersion.OURS; // until its Hello says otherwise

  /** Of a peer that says Hello itself. */
  FrameContent() {}

  /** Of a peer that has said Hello. */
  FrameContent(ProtocolVersion peer) {
    this.peer = peer;
  }

  /**
   * The frame; empty for one that only a newer peer has, and that is skipped.
   *
   * @param body of which nothing is consumed; kept by {@link Data} only, which retains it
   */
  Optional<Frame> read(FrameHeader header, ByteBuf body) {
    Optional<FrameKind> kind = FrameKind.of(header.kindNumber());
    int arrived = header.checksumWith(body);
    if (arrived != header.contentChecksum()) {
      return Optional.of(damaged(header, kind, arrived));
    }
    if (kind.isEmpty()) {
      LOG.debug("skipping a frame of kind {} from protocol {}", header.kindNumber(), peer);
      return Optional.empty();
    }
    return frame(kind.get(), header, body);
  }

  /**
   * Before the body has come.
   *
   * @throws ProtocolException if no frame of its kind may have that header
   */
  void requireAllowed(FrameHeader header) {
    boolean newer = ProtocolVersion.OURS.skipsNewsOf(peer);
    if (header.reservedBits() != 0 && !newer) {
      throw new ProtocolException(
          "frame with reserved bits 0x%x; they must be 0 in protocol %s"
              .formatted(header.reservedBits(), peer));
    }
    Optional<FrameKind> kind = FrameKind.of(header.kindNumber());
    try {
      kind.ifPresent(header::requireAllowed);
    } catch (IllegalArgumentException e) {
      throw new ProtocolException(e.getMessage(), e);
    }
    if (kind.isEmpty()) {
      requireSkippable(header, newer);
    }
  }

  private void requireSkippable(FrameHeader header, boolean newer) {
    if (!newer) {
      throw new ProtocolException(
          "frame of kind %d; protocol %s has kinds 1 to %d"
              .formatted(header.kindNumber(), peer, FrameKind.values().length));
    }
    if (header.bodyBytes() > FrameKind.UNKNOWN_BODY_BYTES_MAX) {
      throw new ProtocolException(
          "frame of unknown kind %d with a body of %d bytes; at most %d"
              .formatted(
                  header.kindNumber(), header.bodyBytes(), FrameKind.UNKNOWN_BODY_BYTES_MAX));
    }
  }

  /** The header is right: it tells what has to be asked for again, if anything can be. */
  private static PageAnswer.Damaged damaged(
      FrameHeader header, Optional<FrameKind> kind, int arrived) {
    if (kind.isEmpty() || !kind.get().isAnswer()) {
      String name = kind.map(Enum::name).orElse("a frame of kind " + header.kindNumber());
      throw TransmissionException.disagreement(
          "%s with a body of %d bytes".formatted(name, header.bodyBytes()),
          header.contentChecksum(),
          arrived);
    }
    return new PageAnswer.Damaged(
        header.requestId(),
        header.guestPhysicalAddress(),
        (int) header.pageCount(),
        header.contentChecksum(),
        arrived);
  }

  private Optional<Frame> frame(FrameKind kind, FrameHeader header, ByteBuf body) {
    return switch (kind) {
      case MESSAGE -> controlFrame(MessageReader.message(body.nioBuffer()));
      case DATA -> Optional.of(data(header, body.retain()));
      default -> Optional.of(pageFrame(kind, header, body));
    };
  }

  private Optional<Frame> controlFrame(ControlMessage message) {
    if (message instanceof ControlMessage.UnknownMessage unknown) {
      requireNews(unknown);
      return Optional.empty();
    }
    if (message instanceof ControlMessage.Hello hello) {
      peer = hello.version();
    }
    return Optional.of(new ControlFrame(message));
  }

  private void requireNews(ControlMessage.UnknownMessage unknown) {
    if (!ProtocolVersion.OURS.skipsNewsOf(peer)) {
      throw new ProtocolException(
          "message number %d; protocol %s has no such message".formatted(unknown.number(), peer));
    }
    LOG.debug("skipping message number {} from protocol {}", unknown.number(), peer);
  }

  private static Data data(FrameHeader header, ByteBuf body) {
    return new Data(
        header.requestId(),
        header.guestPhysicalAddress(),
        (int) header.pageCount(),
        header.contentChecksum(),
        body);
  }

  private static Frame pageFrame(FrameKind kind, FrameHeader header, ByteBuf body) {
    long id = header.requestId();
    long address = header.guestPhysicalAddress();
    int pages = (int) header.pageCount();
    return switch (kind) {
      case REQUEST -> new PageRequest(id, address, pages);
      case ZERO -> new PageAnswer.Zero(id, address, pages);
      case POISONED -> poisoned(header, body);
      case NOT_YET -> new PageAnswer.NotYet(id, address, pages);
      case OUT_OF_RANGE -> new PageAnswer.OutOfRange(id, address, pages);
      case FAILED -> new PageAnswer.Failed(id, address, pages, body.toString(UTF_8));
      case STREAM_END -> new StreamEnd();
      case PING -> new Ping();
      case PONG -> new Pong();
      case MIXED ->
          throw new ProtocolException(
              "MIXED of %d pages at 0x%x; it belongs on a STREAM connection, to a destination"
                  .formatted(pages, address));
      case MESSAGE, DATA -> throw new IllegalStateException(kind + " has a way of its own");
    };
  }

  private static Frame poisoned(FrameHeader header, ByteBuf body) {
    var entries = MessageReader.poisonedPages(body.nioBuffer());
    try {
      return new PageAnswer.Poisoned(
          header.requestId(), header.guestPhysicalAddress(), (int) header.pageCount(), entries);
    } catch (IllegalArgumentException e) {
      throw new ProtocolException(e.getMessage(), e);
    }
  }
}
