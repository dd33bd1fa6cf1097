package ward.wire;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnsafeByteOperations;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.Map;
import java.util.function.BiConsumer;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageSample;
import ward.poison.LedgerDigest;
import ward.wire.proto.WireProto;
import ward.wire.proto.WireProto.Envelope;

/** Control messages as Protocol Buffers. {@link MessageReader} is the way back. */
final class MessageWriter {

  private static final Map<Class<?>, BiConsumer<Envelope.Builder, ControlMessage>> WRITERS =
      new HashMap<>();

  static {
    on(ControlMessage.Hello.class, (to, m) -> to.setHello(Greetings.toProto(m)));
    on(ControlMessage.Refusal.class, (to, m) -> to.setRefusal(Greetings.toProto(m)));
    on(ControlMessage.GuestOffer.class, (to, m) -> to.setGuestOffer(offer(m)));
    on(
        ControlMessage.PoisonMapPart.class,
        (to, m) -> to.setPoisonMapPart(LostExtents.toProto(m.losses())));
    on(
        ControlMessage.PoisonMapEnd.class,
        (to, m) -> to.getPoisonMapEndBuilder().setPages(m.pages()).setDigest(bytes(m.digest())));
    on(
        ControlMessage.PoisonMapApplied.class,
        (to, m) ->
            to.getPoisonMapAppliedBuilder().setPages(m.pages()).setDigest(bytes(m.digest())));
    on(ControlMessage.GuestReleased.class, (to, m) -> to.setGuestReleased(released(m)));
    on(ControlMessage.GuestResumed.class, (to, m) -> to.getGuestResumedBuilder());
    on(
        ControlMessage.LatePoison.class,
        (to, m) -> to.getLatePoisonBuilder().setEntries(PoisonEntries.toProto(m.entries())));
    on(ControlMessage.PoisonOutcome.class, (to, m) -> to.setPoisonOutcome(outcome(m)));
    on(
        ControlMessage.PoisonGivenUp.class,
        (to, m) -> to.getPoisonGivenUpBuilder().setFrames(new PageRuns().toProto(m.frames())));
    on(ControlMessage.HandOver.class, (to, m) -> to.setHandOver(handOver(m)));
    on(ControlMessage.HandOverAccepted.class, (to, m) -> to.getHandOverAcceptedBuilder());
    on(ControlMessage.HandOverConfirmed.class, (to, m) -> to.getHandOverConfirmedBuilder());
    on(ControlMessage.RecoveryPart.class, (to, m) -> to.setRecoveryPart(recoveryPart(m)));
    on(ControlMessage.RecoveryEnd.class, (to, m) -> to.setRecoveryEnd(recoveryEnd(m)));
    on(ControlMessage.SourceIdentity.class, (to, m) -> to.setSourceIdentity(identity(m.memory())));
    on(ControlMessage.PoisonMapCheck.class, (to, m) -> to.getPoisonMapCheckBuilder());
    on(ControlMessage.RecoveryAccepted.class, (to, m) -> to.getRecoveryAcceptedBuilder());
    on(
        ControlMessage.Farewell.class,
        (to, m) ->
            to.getFarewellBuilder().setReason(m.reason()).setGuestNeverRan(m.guestNeverRan()));
    on(
        ControlMessage.ReportPoison.class,
        (to, m) -> to.getReportPoisonBuilder().setEntries(PoisonEntries.toProto(m.entries())));
    on(ControlMessage.ReportPoisonResult.class, (to, m) -> to.setReportPoisonResult(result(m)));
    on(
        ControlMessage.StreamControl.class,
        (to, m) -> to.getStreamControlBuilder().setPaused(m.paused()));
    on(
        ControlMessage.StreamLimit.class,
        (to, m) -> to.getStreamLimitBuilder().setBytesPerSecond(m.bytesPerSecond()));
    on(ControlMessage.StatusQuery.class, (to, m) -> to.getStatusQueryBuilder());
    on(ControlMessage.Status.class, (to, m) -> to.getStatusBuilder().setJson(m.json()));
    on(ControlMessage.Done.class, (to, m) -> to.getDoneBuilder().setText(m.text()));
    on(
        ControlMessage.Cancel.class,
        (to, m) -> to.getCancelBuilder().setReason(m.reason()).setGuestNeverRan(m.guestNeverRan()));
    on(
        ControlMessage.Recover.class,
        (to, m) -> to.getRecoverBuilder().setHost(m.host()).setPort(m.port()));
    on(
        ControlMessage.RaiseSError.class,
        (to, m) -> to.getRaiseSerrorBuilder().setVcpu(m.vcpu()).setSyndrome(m.syndrome()));
    on(
        ControlMessage.CancelRequest.class,
        (to, m) -> to.getCancelRequestBuilder().setReason(m.reason()));
    on(
        ControlMessage.CancelRefused.class,
        (to, m) -> to.getCancelRefusedBuilder().setReason(m.reason()));
    on(ControlMessage.UnknownMessage.class, MessageWriter::refuse);
  }

  private MessageWriter() {}

  private static <M extends ControlMessage> void on(
      Class<M> type, BiConsumer<Envelope.Builder, M> writer) {
    WRITERS.put(type, (to, message) -> writer.accept(to, type.cast(message)));
  }

  /**
   * @throws IllegalArgumentException if the message is longer than a frame may be, or has too many
   *     runs of pages
   */
  static Envelope toProto(ControlMessage message) {
    Envelope.Builder builder = Envelope.newBuilder();
    WRITERS.get(message.getClass()).accept(builder, message);
    return builder.build();
  }

  private static WireProto.GuestReleased released(ControlMessage.GuestReleased released) {
    WireProto.GuestReleased.Builder proto = WireProto.GuestReleased.newBuilder();
    released
        .path()
        .forEach(
            hop ->
                proto
                    .addPathBuilder()
                    .setHost(hop.host())
                    .setTimeMillis(hop.time().toEpochMilli()));
    return proto.build();
  }

  private static WireProto.GuestOffer offer(ControlMessage.GuestOffer offer) {
    WireProto.GuestOffer.Builder proto =
        WireProto.GuestOffer.newBuilder()
            .setGuest(offer.layout().guest())
            .setVcpuStates(UnsafeByteOperations.unsafeWrap(offer.vcpuStates()));
    offer.layout().regions().forEach(region -> proto.addRegions(region(region)));
    offer.memory().samples().forEach(sample -> proto.addSamples(sample(sample)));
    return proto.build();
  }

  private static WireProto.SourceIdentity identity(MemoryIdentity memory) {
    WireProto.SourceIdentity.Builder proto =
        WireProto.SourceIdentity.newBuilder().setGuest(memory.layout().guest());
    memory.layout().regions().forEach(region -> proto.addRegions(region(region)));
    memory.samples().forEach(sample -> proto.addSamples(sample(sample)));
    return proto.build();
  }

  private static WireProto.PageSample sample(PageSample sample) {
    return WireProto.PageSample.newBuilder()
        .setFrame(sample.frame())
        .setSha256(ByteString.copyFrom(HexFormat.of().parseHex(sample.sha256())))
        .build();
  }

  private static WireProto.GuestRegion region(GuestRegion region) {
    return WireProto.GuestRegion.newBuilder()
        .setGuestPhysicalAddress(region.guestPhysicalAddress())
        .setLengthBytes(region.lengthBytes())
        .setFileOffset(region.fileOffset())
        .build();
  }

  private static WireProto.PoisonOutcome outcome(ControlMessage.PoisonOutcome outcome) {
    PageRuns runs = new PageRuns();
    return WireProto.PoisonOutcome.newBuilder()
        .setPoisoned(runs.toProto(outcome.poisoned()))
        .setHeld(runs.toProto(outcome.held()))
        .build();
  }

  private static WireProto.RecoveryPart recoveryPart(ControlMessage.RecoveryPart part) {
    PageRuns runs = new PageRuns();
    return WireProto.RecoveryPart.newBuilder()
        .setPresent(runs.toProto(part.present()))
        .setPoisoned(runs.toProto(part.poisoned()))
        .build();
  }

  private static WireProto.RecoveryEnd recoveryEnd(ControlMessage.RecoveryEnd end) {
    return WireProto.RecoveryEnd.newBuilder()
        .setPresentPages(end.presentPages())
        .setPoisonedPages(end.poisonedPages())
        .setGuestReleased(end.guestReleased())
        .setGuestResumed(end.guestResumed())
        .build();
  }

  private static WireProto.ReportPoisonResult result(ControlMessage.ReportPoisonResult result) {
    PageRuns runs = new PageRuns();
    return WireProto.ReportPoisonResult.newBuilder()
        .setPoisoned(runs.toProto(result.poisoned()))
        .setHeld(runs.toProto(result.held()))
        .setAlreadyKnown(runs.toProto(result.alreadyKnown()))
        .build();
  }

  private static WireProto.HandOver handOver(ControlMessage.HandOver handOver) {
    return WireProto.HandOver.newBuilder()
        .setDataPages(handOver.dataPages())
        .setZeroPages(handOver.zeroPages())
        .setPoisonedPages(handOver.poisonedPages())
        .setMarkers(handOver.markers())
        .setDigest(bytes(handOver.digest()))
        .build();
  }

  private static ByteString bytes(LedgerDigest digest) {
    return ByteString.copyFrom(digest.bytes());
  }

  private static void refuse(Envelope.Builder to, ControlMessage.UnknownMessage message) {
    throw new IllegalArgumentException(
        "message number %d is unknown here and cannot be sent".formatted(message.number()));
  }
}
