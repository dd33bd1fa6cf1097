package ward.wire;

import io.netty.handler.codec.DecoderException;

/**
 * The peer sent what the protocol does not allow. The text names what came and what is allowed.
 *
 * <p>Bytes behind the violation have no meaning, so the connection must be closed.
 */
public final class ProtocolException extends DecoderException {

  /** The text says what came, and what is allowed. */
  public ProtocolException(String message) {
    super(message);
  }

  ProtocolException(String message, Throwable cause) {
    super(message, cause);
  }
}
