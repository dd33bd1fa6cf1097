package ward.wire;

import java.util.UUID;
import ward.wire.ControlMessage.Hello;
import ward.wire.ControlMessage.Refusal;
import ward.wire.proto.WireProto;

/** What is said before a session begins, as Protocol Buffers, and back. */
final class Greetings {

  private Greetings() {}

  static WireProto.Hello toProto(Hello hello) {
    return WireProto.Hello.newBuilder()
        .setRole(toProto(hello.role()))
        .setConnection(toProto(hello.kind()))
        .setSessionHigh(hello.session().getMostSignificantBits())
        .setSessionLow(hello.session().getLeastSignificantBits())
        .setVersion(
            WireProto.ProtocolVersion.newBuilder()
                .setMajor(hello.version().major())
                .setMinor(hello.version().minor()))
        .setHost(hello.host())
        .setAttempt(hello.attempt())
        .build();
  }

  static Hello fromProto(WireProto.Hello proto) {
    return new Hello(
        fromProto(proto.getRole()),
        fromProto(proto.getConnection()),
        new UUID(proto.getSessionHigh(), proto.getSessionLow()),
        proto.getAttempt(),
        new ProtocolVersion(proto.getVersion().getMajor(), proto.getVersion().getMinor()),
        proto.getHost());
  }

  static WireProto.Refusal toProto(Refusal refusal) {
    return WireProto.Refusal.newBuilder()
        .setCode(toProto(refusal.code()))
        .setReason(refusal.reason())
        .build();
  }

  static Refusal fromProto(WireProto.Refusal proto) {
    return new Refusal(fromProto(proto.getCode()), proto.getReason());
  }

  private static WireProto.Hello.Role toProto(Role role) {
    return switch (role) {
      case SOURCE -> WireProto.Hello.Role.SOURCE;
      case DESTINATION -> WireProto.Hello.Role.DESTINATION;
    };
  }

  private static Role fromProto(WireProto.Hello.Role proto) {
    return switch (proto) {
      case SOURCE -> Role.SOURCE;
      case DESTINATION -> Role.DESTINATION;
      case ROLE_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("no role that is known here");
    };
  }

  private static WireProto.Hello.Connection toProto(ConnectionKind kind) {
    return switch (kind) {
      case CONTROL -> WireProto.Hello.Connection.CONTROL;
      case URGENT -> WireProto.Hello.Connection.URGENT;
      case STREAM -> WireProto.Hello.Connection.STREAM;
      case LOCAL -> WireProto.Hello.Connection.LOCAL;
    };
  }

  private static ConnectionKind fromProto(WireProto.Hello.Connection proto) {
    return switch (proto) {
      case CONTROL -> ConnectionKind.CONTROL;
      case URGENT -> ConnectionKind.URGENT;
      case STREAM -> ConnectionKind.STREAM;
      case LOCAL -> ConnectionKind.LOCAL;
      case CONNECTION_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("no kind of connection that is known here");
    };
  }

  private static WireProto.Refusal.Code toProto(Refusal.Code code) {
    return switch (code) {
      case UNSPECIFIED -> WireProto.Refusal.Code.CODE_UNSPECIFIED;
      case VERSION -> WireProto.Refusal.Code.VERSION;
      case BUSY -> WireProto.Refusal.Code.BUSY;
      case OTHER_GUEST -> WireProto.Refusal.Code.OTHER_GUEST;
      case PROTOCOL -> WireProto.Refusal.Code.PROTOCOL;
      case POISON_MAP -> WireProto.Refusal.Code.POISON_MAP;
      case HAND_OVER -> WireProto.Refusal.Code.HAND_OVER;
      case HOST -> WireProto.Refusal.Code.HOST;
      case NO_SESSION -> WireProto.Refusal.Code.NO_SESSION;
    };
  }

  private static Refusal.Code fromProto(WireProto.Refusal.Code proto) {
    return switch (proto) {
      case VERSION -> Refusal.Code.VERSION;
      case BUSY -> Refusal.Code.BUSY;
      case OTHER_GUEST -> Refusal.Code.OTHER_GUEST;
      case PROTOCOL -> Refusal.Code.PROTOCOL;
      case POISON_MAP -> Refusal.Code.POISON_MAP;
      case HAND_OVER -> Refusal.Code.HAND_OVER;
      case HOST -> Refusal.Code.HOST;
      case NO_SESSION -> Refusal.Code.NO_SESSION;
      // A refusal is understood without its code; the reason is for people anyway.
      case CODE_UNSPECIFIED, UNRECOGNIZED -> Refusal.Code.UNSPECIFIED;
    };
  }
}
