package ward.wire;

import io.netty.buffer.ByteBuf;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import ward.wire.proto.WireProto;

/** Frames as bytes, all but {@link PageAnswer.Data}, whose body is nobody's to copy. */
final class FrameBytes {

  private static final ByteBuffer NO_BODY = ByteBuffer.allocate(0);

  private FrameBytes() {}

  /**
   * Appends a frame; nothing if it throws.
   *
   * @throws IllegalArgumentException if the protocol has no such frame
   */
  static void write(Frame frame, ByteBuf out) {
    if (frame instanceof ControlFrame control) {
      message(control.message(), out);
    } else if (frame instanceof PageAnswer.Poisoned poisoned) {
      poisoned(poisoned, out);
    } else if (frame instanceof PageAnswer.Failed failed) {
      answer(FrameKind.FAILED, failed, failed.reason().getBytes(StandardCharsets.UTF_8), out);
    } else if (frame instanceof PageFrame range) {
      FrameHeader.of(bodilessKind(range), range, NO_BODY).writeTo(out);
    } else {
      FrameHeader.of(kindOfWord(frame), NO_BODY).writeTo(out);
    }
  }

  private static FrameKind kindOfWord(Frame frame) {
    if (frame instanceof Ping) {
      return FrameKind.PING;
    }
    return frame instanceof Pong ? FrameKind.PONG : FrameKind.STREAM_END;
  }

  private static FrameKind bodilessKind(PageFrame frame) {
    if (frame instanceof PageRequest) {
      return FrameKind.REQUEST;
    }
    if (frame instanceof PageAnswer.Zero) {
      return FrameKind.ZERO;
    }
    if (frame instanceof PageAnswer.NotYet) {
      return FrameKind.NOT_YET;
    }
    if (frame instanceof PageAnswer.OutOfRange) {
      return FrameKind.OUT_OF_RANGE;
    }
    throw new IllegalArgumentException(frame + " is what becomes of a frame; nobody sends it");
  }

  private static void message(ControlMessage message, ByteBuf out) {
    byte[] body = MessageWriter.toProto(message).toByteArray();
    if (body.length > FrameKind.MESSAGE.bodyBytesMax()) {
      throw new IllegalArgumentException(
          "%s is a message of %d bytes; at most %d"
              .formatted(
                  message.getClass().getSimpleName(),
                  body.length,
                  FrameKind.MESSAGE.bodyBytesMax()));
    }
    FrameHeader.of(FrameKind.MESSAGE, ByteBuffer.wrap(body)).writeTo(out);
    out.writeBytes(body);
  }

  private static void poisoned(PageAnswer.Poisoned answer, ByteBuf out) {
    byte[] body =
        WireProto.PoisonedPages.newBuilder()
            .setEntries(PoisonEntries.toProto(answer.entries()))
            .build()
            .toByteArray();
    FrameKind.POISONED.requireBody(body.length, answer.pageCount());
    answer(FrameKind.POISONED, answer, body, out);
  }

  private static void answer(FrameKind kind, PageAnswer answer, byte[] body, ByteBuf out) {
    FrameHeader.of(kind, answer, ByteBuffer.wrap(body)).writeTo(out);
    out.writeBytes(body);
  }
}
