package ward.wire;

/**
 * The user event which tells the session's handler that both sides have said hello; frames follow.
 *
 * @param peer what the other side said
 */
public record HelloCompleted(ControlMessage.Hello peer) {}
