package ward.wire;

/** What a connection is for. */
public enum ConnectionKind {
  /** Messages, in order. One in a session. */
  CONTROL,
  /** Requests for pages that a vCPU waits for, and their answers: never behind bulk data. */
  URGENT,
  /** Pages that nobody asked for, in bulk. Request ids are 0. One or more in a session. */
  STREAM,
  /** A command on the same host talks to the daemon, over a UNIX socket. */
  LOCAL
}
