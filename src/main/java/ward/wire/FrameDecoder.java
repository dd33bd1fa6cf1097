package ward.wire;

import static java.nio.charset.StandardCharsets.UTF_8;

import io.netty.buffer.ByteBuf;
import io.netty.buffer.ByteBufAllocator;
import io.netty.channel.ChannelHandlerContext;
import io.netty.handler.codec.ByteToMessageDecoder;
import java.util.List;
import java.util.Optional;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.wire.PageAnswer.Data;

/**
 * Cuts a connection's bytes, preface first, into {@link Frame}s.
 *
 * <p>The body of {@link Data} is a slice of what was received: of the read buffer itself where a
 * frame came in one read, else of one direct buffer in which its reads were put together. It is
 * never on the Java heap.
 *
 * <p>A violation is a {@link ProtocolException} in {@code exceptionCaught}, damage on the way a
 * {@link TransmissionException}; whatever comes behind it is dropped, and the session has to close
 * the channel. A connection that ends inside a frame is damage too, reported before {@code
 * channelInactive}. Only a damaged body of an answer about pages is no reason to close: it is a
 * {@link PageAnswer.Damaged}.
 */
public final class FrameDecoder extends ByteToMessageDecoder {

  private static final Logger LOG = LoggerFactory.getLogger(FrameDecoder.class);

  /** Room behind an unfinished frame for what its last read brings of the next one. */
  private static final int READ_BYTES_MAX = Transport.READ_BYTES_MAX;

  private ProtocolVersion peer = ProtocolVersion.OURS; // until its Hello says otherwise
  private boolean prefaceSeen;
  private FrameHeader header; // null while the next one is still arriving
  private boolean broken;

  /** For one channel. */
  public FrameDecoder() {
    setCumulator(this::gather);
  }

  @Override
  protected void decode(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    if (broken) {
      in.skipBytes(in.readableBytes());
    } else if (!prefaceSeen) {
      readPreface(context, in);
    } else {
      readFrameFrom(context, in, out);
    }
  }

  private void readFrameFrom(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    try {
      readFrame(in, out);
    } catch (ProtocolException e) {
      breakOff(in);
      throw new ProtocolException(PeerName.of(context.channel()) + ": " + e.getMessage(), e);
    } catch (TransmissionException e) {
      breakOff(in);
      throw new TransmissionException(PeerName.of(context.channel()) + ": " + e.getMessage());
    }
  }

  private void breakOff(ByteBuf in) {
    broken = true;
    in.skipBytes(in.readableBytes());
  }

  private void readPreface(ChannelHandlerContext context, ByteBuf in) {
    int wrongBits = Preface.wrongBits(in);
    if (wrongBits > Preface.DAMAGED_BITS_MAX) {
      String shown = Preface.shown(in);
      breakOff(in);
      throw new ProtocolException(
          "%s is not Ward: it began with %s".formatted(PeerName.of(context.channel()), shown));
    }
    if (in.readableBytes() >= Preface.BYTES) {
      requireUndamaged(context, in, wrongBits);
      in.skipBytes(Preface.BYTES);
      prefaceSeen = true;
    }
  }

  private void requireUndamaged(ChannelHandlerContext context, ByteBuf in, int wrongBits) {
    if (wrongBits > 0) {
      String shown = Preface.shown(in.readSlice(Preface.BYTES));
      breakOff(in);
      throw new TransmissionException(
          "%s: the preface came as %s: something on the way changed it"
              .formatted(PeerName.of(context.channel()), shown));
    }
  }

  private void readFrame(ByteBuf in, List<Object> out) {
    if (header == null) {
      if (in.readableBytes() < FrameHeader.BYTES) {
        return;
      }
      header = FrameHeader.readFrom(in);
      requireAllowed(header);
    }
    if (in.readableBytes() >= header.bodyBytes()) {
      FrameHeader complete = header;
      header = null;
      addFrame(complete, in, out);
    }
  }

  private void requireAllowed(FrameHeader header) {
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

  private void addFrame(FrameHeader header, ByteBuf in, List<Object> out) {
    ByteBuf body = in.readSlice((int) header.bodyBytes());
    Optional<FrameKind> kind = FrameKind.of(header.kindNumber());
    int arrived = header.checksumWith(body);
    if (arrived != header.contentChecksum()) {
      out.add(damaged(header, kind, arrived));
    } else if (kind.isEmpty()) {
      LOG.debug("skipping a frame of kind {} from protocol {}", header.kindNumber(), peer);
    } else {
      frame(kind.get(), header, body).ifPresent(out::add);
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

  @Override
  protected void decodeLast(ChannelHandlerContext context, ByteBuf in, List<Object> out) {
    String missing = broken ? "" : missing(in);
    breakOff(in); // the input may end twice: once shut down, once closed
    if (!missing.isEmpty()) {
      context.fireExceptionCaught(
          new TransmissionException(
              "%s: the connection ended inside %s"
                  .formatted(PeerName.of(context.channel()), missing)));
    }
  }

  private String missing(ByteBuf in) {
    if (header != null) {
      String kind = FrameKind.of(header.kindNumber()).map(Enum::name).orElse("a skipped frame");
      return "%s: %d of %d body bytes came".formatted(kind, in.readableBytes(), header.bodyBytes());
    }
    if (!in.isReadable()) {
      return "";
    }
    return prefaceSeen
        ? "a frame's header: %d of %d bytes came".formatted(in.readableBytes(), FrameHeader.BYTES)
        : "the preface: %d of %d bytes came".formatted(in.readableBytes(), Preface.BYTES);
  }

  /**
   * Puts reads together. Where the frame's length is known, room for all of it is made at once:
   * growing by doubling would copy a large frame several times over.
   */
  private ByteBuf gather(ByteBufAllocator allocator, ByteBuf gathered, ByteBuf arrived) {
    ByteBuf roomy = gathered;
    if (header != null && gathered.isReadable() && gathered != arrived) {
      int missingBytes = (int) header.bodyBytes() - gathered.readableBytes();
      if (missingBytes > gathered.maxFastWritableBytes()) {
        roomy = allocator.directBuffer((int) header.bodyBytes() + READ_BYTES_MAX);
        roomy.writeBytes(gathered);
        gathered.release();
      }
    }
    return MERGE_CUMULATOR.cumulate(allocator, roomy, arrived);
  }
}
