package ward.wire;

import java.io.IOException;

/** The peer refused this side, or this side the peer, before a session began. */
public final class PeerRefusedException extends IOException {

  private final transient ControlMessage.Refusal refusal;

  private PeerRefusedException(String message, ControlMessage.Refusal refusal) {
    super(message);
    this.refusal = refusal;
  }

  static PeerRefusedException byPeer(String peer, ControlMessage.Refusal refusal) {
    return new PeerRefusedException(
        "%s refused this connection (%s): %s".formatted(peer, refusal.code(), refusal.reason()),
        refusal);
  }

  static PeerRefusedException byUs(String peer, ControlMessage.Refusal refusal) {
    return new PeerRefusedException(
        "this side refused %s (%s): %s".formatted(peer, refusal.code(), refusal.reason()), refusal);
  }

  /** What was sent or received. */
  public ControlMessage.Refusal refusal() {
    return refusal;
  }
}
