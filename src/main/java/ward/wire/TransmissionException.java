package ward.wire;

import io.netty.handler.codec.DecoderException;

/**
 * What arrived is not what was sent: a checksum does not agree, or the connection ended inside a
 * frame. Unlike after a {@link ProtocolException}, the peer may be blameless, and another
 * connection to it may do better.
 *
 * <p>Bytes behind the damage have no meaning, so the connection must be closed.
 */
public final class TransmissionException extends DecoderException {

  TransmissionException(String message) {
    super(message);
  }

  static TransmissionException disagreement(String what, int sent, int arrived) {
    return new TransmissionException(
        "%s came with checksum %s, its bytes give %s: something on the way changed them"
            .formatted(what, Checksum.text(sent), Checksum.text(arrived)));
  }
}
