package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import com.google.protobuf.ByteString;
import com.google.protobuf.UnknownFieldSet;
import io.netty.buffer.ByteBuf;
import io.netty.channel.embedded.EmbeddedChannel;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Set;
import java.util.stream.Collectors;
import java.util.stream.LongStream;
import java.util.stream.Stream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import org.junit.jupiter.params.provider.MethodSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.wire.ControlMessage.Refusal;
import ward.wire.proto.WireProto;
import ward.wire.proto.WireProto.Envelope;

class ControlMessageTest {

  private final WireBytes wire = new WireBytes();

  @AfterEach
  void nothingLeaks() {
    assertEquals(0, wire.unreleasedBytes());
  }

  private ControlMessage overTheWire(ControlMessage message) {
    return received(wire.encoded(new ControlFrame(message)));
  }

  private ControlMessage received(ByteBuf bytes) {
    EmbeddedChannel channel = wire.decoder();
    channel.writeInbound(bytes);
    ControlFrame frame = channel.readInbound();
    channel.finishAndReleaseAll();
    return frame.message();
  }

  private String refused(Envelope envelope) {
    EmbeddedChannel channel = wire.decoder();
    ByteBuf bytes = wire.message(envelope);
    var e = assertThrows(ProtocolException.class, () -> channel.writeInbound(bytes));
    channel.finishAndReleaseAll();
    return e.getMessage();
  }

  static Stream<ControlMessage> everyMessageSurvivesTheWire() {
    return Messages.all();
  }

  @ParameterizedTest
  @MethodSource
  void everyMessageSurvivesTheWire(ControlMessage message) {
    assertEquals(message, overTheWire(message));
  }

  @Test
  void theListOfMessagesAboveIsWhole() {
    Set<Class<?>> sent = Messages.all().map(Object::getClass).collect(Collectors.toSet());
    sent.add(ControlMessage.UnknownMessage.class);

    assertEquals(Set.of(ControlMessage.class.getPermittedSubclasses()), sent);
  }

  @ParameterizedTest
  @EnumSource(Refusal.Code.class)
  void everyRefusalCodeSurvivesTheWire(Refusal.Code code) {
    assertEquals(new Refusal(code, "x"), overTheWire(new Refusal(code, "x")));
  }

  @ParameterizedTest
  @EnumSource(ConnectionKind.class)
  void everyConnectionKindSurvivesTheWire(ConnectionKind kind) {
    var hello =
        new ControlMessage.Hello(
            Role.DESTINATION, kind, Messages.SESSION, 1, new ProtocolVersion(65535, 65535), "h");

    assertEquals(hello, overTheWire(hello));
  }

  @Test
  void a4096EntriesFitIntoOneMessageAndNotOneMore() {
    var full = new ControlMessage.LatePoison(Messages.entries(4096));

    assertEquals(full, overTheWire(full));
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new ControlMessage.LatePoison(Messages.entries(4097)));
    assertEquals("4097 poison entries; at most 4096 in a message", e.getMessage());
  }

  @Test
  void aPeerMayNotSendMoreThan4096Entries() {
    var proto = PoisonEntries.toProto(Messages.entries(4096)).toBuilder();
    proto.addEntries(proto.getEntries(0));

    assertThat(refused(late(proto)))
        .isEqualTo(
            "local peer: message LATE_POISON is not allowed: 4097 poison entries; at most 4096"
                + " in a message");
  }

  @Test
  void vcpuStatesMayHave3MibAndNotOneByteMore() {
    byte[] states = new byte[3 << 20];
    Arrays.fill(states, (byte) 0x5A);
    var full = new ControlMessage.GuestOffer(Messages.layout(), states);

    assertEquals(full, overTheWire(full));
    var e =
        assertThrows(
            IllegalArgumentException.class,
            () -> new ControlMessage.GuestOffer(Messages.layout(), new byte[(3 << 20) + 1]));
    assertEquals("vCPU states of 3145729 bytes; at most 3145728", e.getMessage());
  }

  @Test
  void aLayoutMayHave4096RegionsAndNotOneMore() {
    var full = new ControlMessage.GuestOffer(new GuestLayout("g", regions(4096)), new byte[0]);

    assertEquals(full, overTheWire(full));
    var offer = MessageWriter.toProto(full).getGuestOffer().toBuilder();
    offer.addRegions(offer.getRegions(0));
    assertThat(refused(Envelope.newBuilder().setGuestOffer(offer).build()))
        .endsWith("GUEST_OFFER is not allowed: 4097 regions; at most 4096");
  }

  private static List<GuestRegion> regions(int count) {
    List<GuestRegion> regions = new ArrayList<>();
    for (int i = 0; i < count; i++) {
      regions.add(new GuestRegion(i * 8192L, 4096, i * 4096L));
    }
    return regions;
  }

  @Test
  void aLayoutThatCannotBeIsRefusedByTheNameOfItsMessage() {
    var region = WireProto.GuestRegion.newBuilder().setLengthBytes(8192);
    var offer = WireProto.GuestOffer.newBuilder().setGuest("g").addRegions(region);
    offer.addRegions(region.setGuestPhysicalAddress(4096).setFileOffset(8192));

    assertThat(refused(Envelope.newBuilder().setGuestOffer(offer).build()))
        .isEqualTo(
            "local peer: message GUEST_OFFER is not allowed: regions overlap: 0x0..0x2000 and"
                + " 0x1000..0x3000");
  }

  @Test
  void thePageSetsOfOneMessageMayHave65536RunsTogether() {
    var full = new ControlMessage.PoisonOutcome(Messages.runs(65_535), Messages.runs(1));
    var more = new ControlMessage.PoisonOutcome(Messages.runs(65_535), Messages.runs(2));

    assertEquals(full, overTheWire(full));
    var e = assertThrows(IllegalArgumentException.class, () -> MessageWriter.toProto(more));
    assertThat(e).hasMessageContaining("at least 65537 runs").hasMessageContaining("at most 65536");
  }

  @Test
  void aPeerMayNotSendMoreThan65536Runs() {
    var runs =
        WireProto.PageRuns.newBuilder()
            .addAllGapAndCount(LongStream.range(0, 2 * 65_537).map(i -> 1).boxed().toList());

    assertThat(refused(outcome(runs))).contains("at least 65537 runs and 65537 pages");
  }

  @Test
  void theFewBytesOfAHugeRunDoNotBecomeGigabytes() {
    PageSet allowed = Messages.pages(new PageRun(5, 1L << 30));
    var message = new ControlMessage.PoisonOutcome(new PageSet(), allowed);
    var runs = WireProto.PageRuns.newBuilder().addGapAndCount(5).addGapAndCount((1L << 30) + 1);

    assertThat(refused(outcome(runs))).contains("1073741825 pages; at most 65536 and 1073741824");
    assertEquals(1L << 30, message.held().size());
  }

  @Test
  void runsReachPage2ToThe40AndNotFurther() {
    long last = (1L << 40) - 1;
    var message =
        new ControlMessage.PoisonOutcome(Messages.pages(new PageRun(last, 1)), new PageSet());
    var runs = WireProto.PageRuns.newBuilder().addGapAndCount(last).addGapAndCount(2);

    assertEquals(message, overTheWire(message));
    assertThat(refused(outcome(runs))).contains("a run of 2 pages, 1099511627775 pages after");
  }

  @ParameterizedTest
  @ValueSource(longs = {0, -1, Long.MIN_VALUE, Long.MAX_VALUE})
  void aRunOfAnImpossibleLengthIsRefused(long count) {
    var runs = WireProto.PageRuns.newBuilder().addGapAndCount(1).addGapAndCount(count);

    assertThat(refused(outcome(runs)))
        .contains("a run of %s pages".formatted(Long.toUnsignedString(count)));
  }

  @Test
  void aRunWithoutALengthIsRefused() {
    assertThat(refused(outcome(WireProto.PageRuns.newBuilder().addGapAndCount(1))))
        .contains("1 numbers for runs of pages; an even count is needed");
  }

  private static Envelope outcome(WireProto.PageRuns.Builder held) {
    return Envelope.newBuilder()
        .setPoisonOutcome(WireProto.PoisonOutcome.newBuilder().setHeld(held))
        .build();
  }

  @Test
  void aMessageOfMoreThan4MibIsNotSent() {
    EmbeddedChannel channel = wire.channel(new FrameEncoder());
    int overhead =
        MessageWriter.toProto(new ControlMessage.Status("x".repeat(3 << 20))).getSerializedSize()
            - (3 << 20);
    var longest = new ControlMessage.Status("x".repeat((4 << 20) - overhead));
    var tooLong = new ControlFrame(new ControlMessage.Status(longest.json() + "x"));

    var e = assertThrows(IllegalArgumentException.class, () -> channel.writeOutbound(tooLong));

    assertEquals("Status is a message of 4194305 bytes; at most 4194304", e.getMessage());
    assertEquals(longest, overTheWire(longest));
    channel.finishAndReleaseAll();
  }

  @Test
  void anUnknownSeverityIsRefusedAndNotGuessed() {
    var entries = PoisonEntries.toProto(Messages.entries(1)).toBuilder();
    entries.getEntriesBuilder(0).setSeverityValue(77);

    assertThat(refused(late(entries))).contains("LATE_POISON", "without a severity");
  }

  @Test
  void anEntryOfAHostThatIsNotNamedIsRefused() {
    var entries = PoisonEntries.toProto(Messages.entries(1)).toBuilder();
    entries.getEntriesBuilder(0).setHost(-1);

    assertThat(refused(late(entries)))
        .contains("poison entry of host 4294967295; the message names 1 hosts");
  }

  @Test
  void anUnalignedEntryIsRefused() {
    var entries = PoisonEntries.toProto(Messages.entries(1)).toBuilder();
    entries.getEntriesBuilder(0).setGuestPhysicalAddress(0x1001);

    assertThat(refused(late(entries))).contains("0x1001 is not a multiple of the lost extent");
  }

  private static Envelope late(WireProto.PoisonEntries.Builder entries) {
    return Envelope.newBuilder()
        .setLatePoison(WireProto.LatePoison.newBuilder().setEntries(entries))
        .build();
  }

  @Test
  void aDigestOfAnotherLengthIsRefused() {
    var end = WireProto.PoisonMapEnd.newBuilder().setDigest(ByteString.copyFrom(new byte[31]));

    assertThat(refused(Envelope.newBuilder().setPoisonMapEnd(end).build()))
        .contains("POISON_MAP_END", "ledger digest of 31 bytes; 32 are needed");
  }

  @Test
  void aCountBeyondWhatALongHoldsIsRefused() {
    var handOver =
        MessageWriter.toProto(new ControlMessage.HandOver(1, 2, 3, 4, Messages.digest()))
            .toBuilder();
    handOver.getHandOverBuilder().setMarkers(-1);

    assertThat(refused(handOver.build())).contains("markers 18446744073709551615");
  }

  @Test
  void theRefusalOfANewerPeerIsUnderstoodWithoutItsCode() {
    var refusal = WireProto.Refusal.newBuilder().setCodeValue(99).setReason("because");

    assertEquals(
        new Refusal(Refusal.Code.UNSPECIFIED, "because"),
        received(wire.message(Envelope.newBuilder().setRefusal(refusal).build())));
  }

  @Test
  void aReasonIsCutToOneKibAndCannotWriteLinesOfALog() {
    var refusal = new Refusal(Refusal.Code.HOST, "a\nb\u001b" + "ü".repeat(1000));

    assertEquals("a b " + "ü".repeat(510), refusal.reason());
    assertEquals(refusal, overTheWire(refusal));
  }

  @Test
  void anEmptyEnvelopeIsRefused() {
    assertThat(refused(Envelope.getDefaultInstance())).contains("the envelope is empty");
  }

  @Test
  void anUnknownMessageOfTheSameMinorVersionIsRefused() {
    assertThat(refused(unknownMessage(999)))
        .isEqualTo("local peer: message number 999; protocol 1.1 has no such message");
  }

  @Test
  void anUnknownMessageOfANewerMinorVersionIsSkipped() {
    EmbeddedChannel channel = wire.decoderOf(new ProtocolVersion(1, 2));

    channel.writeInbound(wire.message(unknownMessage(999)));
    channel.writeInbound(wire.encoded(new ControlFrame(new ControlMessage.Done())));

    assertEquals(new ControlFrame(new ControlMessage.Done()), channel.readInbound());
    assertEquals(Collections.emptyList(), List.copyOf(channel.inboundMessages()));
    channel.finishAndReleaseAll();
  }

  private static Envelope unknownMessage(int number) {
    var field = UnknownFieldSet.Field.newBuilder().addLengthDelimited(ByteString.EMPTY).build();
    return Envelope.newBuilder()
        .setUnknownFields(UnknownFieldSet.newBuilder().addField(number, field).build())
        .build();
  }

  @Test
  void anUnknownMessageCannotBeSent() {
    var unknown = new ControlMessage.UnknownMessage(999);

    assertThrows(IllegalArgumentException.class, () -> MessageWriter.toProto(unknown));
  }
}
