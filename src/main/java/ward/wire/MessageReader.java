package ward.wire;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.HexFormat;
import java.util.List;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.PoisonEntry;
import ward.wire.proto.WireProto;
import ward.wire.proto.WireProto.Envelope;

/** Control messages and lists of poison from Protocol Buffers; everything in them is checked. */
final class MessageReader {

  private MessageReader() {}

  /**
   * @return {@link ControlMessage.UnknownMessage} for a message that this build does not know
   * @throws ProtocolException naming the message, and what in it is not allowed
   */
  static ControlMessage message(ByteBuffer body) {
    int bodyBytes = body.remaining();
    try {
      return message(Envelope.parseFrom(body));
    } catch (InvalidProtocolBufferException e) {
      throw new ProtocolException(
          "MESSAGE of %d bytes is not a control message: %s".formatted(bodyBytes, e.getMessage()),
          e);
    }
  }

  /**
   * @throws ProtocolException saying what is not allowed
   */
  static List<PoisonEntry> poisonedPages(ByteBuffer body) {
    int bodyBytes = body.remaining();
    try {
      return PoisonEntries.fromProto(WireProto.PoisonedPages.parseFrom(body).getEntries());
    } catch (InvalidProtocolBufferException e) {
      throw new ProtocolException(
          "POISONED of %d bytes is not a list of poison: %s".formatted(bodyBytes, e.getMessage()),
          e);
    } catch (IllegalArgumentException e) {
      throw new ProtocolException("POISONED is not allowed: " + e.getMessage(), e);
    }
  }

  private static ControlMessage message(Envelope envelope) {
    try {
      return unchecked(envelope);
    } catch (IllegalArgumentException e) {
      throw new ProtocolException(
          "message %s is not allowed: %s".formatted(envelope.getMessageCase(), e.getMessage()), e);
    }
  }

  private static ControlMessage unchecked(Envelope from) {
    return switch (from.getMessageCase()) {
      case HELLO -> Greetings.fromProto(from.getHello());
      case REFUSAL -> Greetings.fromProto(from.getRefusal());
      case GUEST_OFFER -> offer(from.getGuestOffer());
      case POISON_MAP_PART ->
          new ControlMessage.PoisonMapPart(LostExtents.fromProto(from.getPoisonMapPart()));
      case POISON_MAP_END -> mapEnd(from.getPoisonMapEnd());
      case POISON_MAP_APPLIED -> mapApplied(from.getPoisonMapApplied());
      case GUEST_RELEASED -> released(from.getGuestReleased());
      case GUEST_RESUMED -> new ControlMessage.GuestResumed();
      case LATE_POISON -> new ControlMessage.LatePoison(entries(from.getLatePoison().getEntries()));
      case POISON_OUTCOME -> outcome(from.getPoisonOutcome());
      case POISON_GIVEN_UP ->
          new ControlMessage.PoisonGivenUp(
              new PageRuns().fromProto(from.getPoisonGivenUp().getFrames()));
      case HAND_OVER -> handOver(from.getHandOver());
      case HAND_OVER_ACCEPTED -> new ControlMessage.HandOverAccepted();
      case HAND_OVER_CONFIRMED -> new ControlMessage.HandOverConfirmed();
      case RECOVERY_PART -> recoveryPart(from.getRecoveryPart());
      case RECOVERY_END -> recoveryEnd(from.getRecoveryEnd());
      case SOURCE_IDENTITY -> identity(from.getSourceIdentity());
      case POISON_MAP_CHECK -> new ControlMessage.PoisonMapCheck();
      case RECOVERY_ACCEPTED -> new ControlMessage.RecoveryAccepted();
      case FAREWELL ->
          new ControlMessage.Farewell(
              from.getFarewell().getReason(), from.getFarewell().getGuestNeverRan());
      case REPORT_POISON ->
          new ControlMessage.ReportPoison(entries(from.getReportPoison().getEntries()));
      case REPORT_POISON_RESULT -> result(from.getReportPoisonResult());
      case STREAM_CONTROL -> new ControlMessage.StreamControl(from.getStreamControl().getPaused());
      case STREAM_LIMIT ->
          new ControlMessage.StreamLimit(from.getStreamLimit().getBytesPerSecond());
      case STATUS_QUERY -> new ControlMessage.StatusQuery();
      case STATUS -> new ControlMessage.Status(from.getStatus().getJson());
      case DONE -> new ControlMessage.Done(from.getDone().getText());
      case CANCEL ->
          new ControlMessage.Cancel(
              from.getCancel().getReason(), from.getCancel().getGuestNeverRan());
      case RECOVER ->
          new ControlMessage.Recover(from.getRecover().getHost(), from.getRecover().getPort());
      case RAISE_SERROR ->
          new ControlMessage.RaiseSError(
              from.getRaiseSerror().getVcpu(), from.getRaiseSerror().getSyndrome());
      case CANCEL_REQUEST -> new ControlMessage.CancelRequest(from.getCancelRequest().getReason());
      case CANCEL_REFUSED -> new ControlMessage.CancelRefused(from.getCancelRefused().getReason());
      case MESSAGE_NOT_SET -> unknown(from);
    };
  }

  private static ControlMessage unknown(Envelope envelope) {
    return envelope.getUnknownFields().asMap().keySet().stream()
        .findFirst()
        .map(ControlMessage.UnknownMessage::new)
        .orElseThrow(() -> new IllegalArgumentException("the envelope is empty"));
  }

  private static List<PoisonEntry> entries(WireProto.PoisonEntries proto) {
    return PoisonEntries.fromProto(proto);
  }

  private static ControlMessage offer(WireProto.GuestOffer proto) {
    return new ControlMessage.GuestOffer(
        memory(proto.getGuest(), proto.getRegionsList(), proto.getSamplesList()),
        proto.getVcpuStates().toByteArray());
  }

  private static ControlMessage identity(WireProto.SourceIdentity proto) {
    return new ControlMessage.SourceIdentity(
        memory(proto.getGuest(), proto.getRegionsList(), proto.getSamplesList()));
  }

  private static MemoryIdentity memory(
      String guest, List<WireProto.GuestRegion> regions, List<WireProto.PageSample> samples) {
    requireCount("regions", regions.size(), ControlMessage.REGIONS_MAX);
    requireCount("sampled pages", samples.size(), MemoryIdentity.SAMPLES_MAX);
    return new MemoryIdentity(
        new GuestLayout(guest, regions.stream().map(MessageReader::region).toList()),
        samples.stream().map(MessageReader::sample).toList());
  }

  private static void requireCount(String what, int count, int most) {
    if (count > most) {
      throw new IllegalArgumentException("%d %s; at most %d".formatted(count, what, most));
    }
  }

  private static PageSample sample(WireProto.PageSample proto) {
    return new PageSample(
        proto.getFrame(), HexFormat.of().formatHex(proto.getSha256().toByteArray()));
  }

  private static GuestRegion region(WireProto.GuestRegion proto) {
    return new GuestRegion(
        proto.getGuestPhysicalAddress(), proto.getLengthBytes(), proto.getFileOffset());
  }

  private static ControlMessage mapEnd(WireProto.PoisonMapEnd proto) {
    return new ControlMessage.PoisonMapEnd(proto.getPages(), digest(proto.getDigest()));
  }

  private static ControlMessage mapApplied(WireProto.PoisonMapApplied proto) {
    return new ControlMessage.PoisonMapApplied(proto.getPages(), digest(proto.getDigest()));
  }

  private static ControlMessage released(WireProto.GuestReleased proto) {
    return new ControlMessage.GuestReleased(
        proto.getPathList().stream()
            .map(hop -> new Departure(hop.getHost(), Instant.ofEpochMilli(hop.getTimeMillis())))
            .toList());
  }

  private static ControlMessage outcome(WireProto.PoisonOutcome proto) {
    PageRuns runs = new PageRuns();
    return new ControlMessage.PoisonOutcome(
        runs.fromProto(proto.getPoisoned()), runs.fromProto(proto.getHeld()));
  }

  private static ControlMessage handOver(WireProto.HandOver proto) {
    return new ControlMessage.HandOver(
        proto.getDataPages(),
        proto.getZeroPages(),
        proto.getPoisonedPages(),
        proto.getMarkers(),
        digest(proto.getDigest()));
  }

  private static ControlMessage recoveryPart(WireProto.RecoveryPart proto) {
    PageRuns runs = new PageRuns();
    return new ControlMessage.RecoveryPart(
        runs.fromProto(proto.getPresent()), runs.fromProto(proto.getPoisoned()));
  }

  private static ControlMessage recoveryEnd(WireProto.RecoveryEnd proto) {
    return new ControlMessage.RecoveryEnd(
        proto.getPresentPages(),
        proto.getPoisonedPages(),
        proto.getGuestReleased(),
        proto.getGuestResumed());
  }

  private static ControlMessage result(WireProto.ReportPoisonResult proto) {
    PageRuns runs = new PageRuns();
    return new ControlMessage.ReportPoisonResult(
        runs.fromProto(proto.getPoisoned()),
        runs.fromProto(proto.getHeld()),
        runs.fromProto(proto.getAlreadyKnown()));
  }

  private static LedgerDigest digest(ByteString bytes) {
    return LedgerDigest.of(bytes.toByteArray());
  }
}
