package ward.wire;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.memory.PageRun;
import ward.poison.Circumstances;
import ward.poison.Origin;
import ward.poison.Origin.Discovery;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;
import ward.poison.RunWriter;
import ward.poison.Severity;
import ward.wire.ControlMessage.PoisonMapPart;
import ward.wire.proto.WireProto;
import ward.wire.proto.WireProto.Envelope;

@Timeout(60)
class PoisonMapPartTest {

  private static final int BYTES_MAX = 4 << 20;

  private static Circumstances common(int shift, String host, long millis) {
    return new Circumstances(
        shift,
        Severity.ACTION_REQUIRED,
        new Origin(host, Instant.ofEpochMilli(millis), Discovery.DECLARED));
  }

  /** All parts over the wire and together again. */
  private static PoisonMap overTheWire(PoisonMap map) {
    PoisonMap arrived = new PoisonMap();
    for (PoisonMapPart part : PoisonMapPart.inParts(map)) {
      byte[] bytes = MessageWriter.toProto(part).toByteArray();
      assertThat(bytes.length).isLessThan(BYTES_MAX);
      arrived.addAll(((PoisonMapPart) MessageReader.message(ByteBuffer.wrap(bytes))).losses());
    }
    return arrived;
  }

  private static long bytesOf(PoisonMap map) {
    return PoisonMapPart.inParts(map).stream()
        .mapToLong(part -> MessageWriter.toProto(part).getSerializedSize())
        .sum();
  }

  @Test
  void everyMapSurvivesTheWire() {
    for (long seed = 0; seed < 300; seed++) {
      PoisonMap map = drawn(new Random(seed));

      assertThat(overTheWire(map)).as("seed %d", seed).isEqualTo(map);
    }
  }

  /** Dense and sparse, low and high, of any size, in few and in many circumstances. */
  private static PoisonMap drawn(Random random) {
    PoisonMap map = new PoisonMap();
    int kinds = 1 + random.nextInt(random.nextInt(10) == 0 ? 3000 : 5);
    for (int kind = 0; kind < kinds; kind++) {
      Circumstances common =
          common(12 + random.nextInt(19), "host-" + random.nextInt(7), random.nextInt(9) - 4);
      long extents = 1L << 52 - common.pageShift();
      for (int runs = 1 + random.nextInt(6); runs > 0; runs--) {
        long first = random.nextLong(Math.min(extents - 40, 1L << random.nextInt(1, 41)) + 1);
        map.add(common, new PageRun(first, 1 + random.nextInt(40)));
      }
    }
    return map;
  }

  @Test
  void aMillionLossesInClustersTakeLessThanHalfAByteEachAndAloneTwo() {
    Circumstances common = common(12, "mars", 1_700_000_000_000L);
    PoisonMap clustered = new PoisonMap();
    PoisonMap alone = new PoisonMap();
    for (long i = 0; i < 125_000; i++) {
      clustered.add(common, new PageRun(i * 10, 8));
    }
    for (long i = 0; i < 1_000_000; i++) {
      alone.add(common, new PageRun(2 * i, 1));
    }

    assertThat(bytesOf(clustered)).isLessThan(500_000);
    assertThat(bytesOf(alone)).isLessThan(2_100_000);
    assertThat(overTheWire(clustered)).isEqualTo(clustered);
    assertThat(overTheWire(alone)).isEqualTo(alone);
  }

  @Test
  void moreThanOneMessageHoldsIsCut() {
    PoisonMap kinds = PoisonMap.of(Messages.entries(4097));
    PoisonMap terabytes = new PoisonMap();
    terabytes.add(common(30, "mars", 0), new PageRun(0, 10_000));

    assertThat(PoisonMapPart.inParts(kinds)).hasSize(2);
    assertThat(PoisonMapPart.inParts(terabytes)).hasSize(3);
    assertThat(overTheWire(kinds)).isEqualTo(kinds);
    assertThat(overTheWire(terabytes)).isEqualTo(terabytes);
    assertThat(PoisonMapPart.inParts(new PoisonMap())).isEmpty();
  }

  @Test
  void manyRunsGoOutInPiecesThatTheOtherSideReadsMeanwhile() {
    PoisonMap map = new PoisonMap();
    for (int i = 0; i < 20_000; i++) {
      map.add(common(12, "mars", 0), new PageRun(10L * i, 8));
    }

    List<PoisonMapPart> parts = PoisonMapPart.inParts(map);

    assertThat(parts).hasSize(3);
    assertThat(overTheWire(map)).isEqualTo(map);
  }

  @Test
  void aFullPartOfLongNamesStillFitsIntoAFrame() {
    PoisonMap map = new PoisonMap();
    for (int i = 0; i < 4096; i++) {
      String name = "\u4e3b".repeat(250) + "%05d".formatted(i);
      map.add(common(12, name, Long.MIN_VALUE / 2_000_000 + i), new PageRun((long) i << 27, 3));
    }
    for (int i = 0; i < 60_000; i++) {
      map.add(
          common(12, "\u4e3b".repeat(250) + "00000", 7), new PageRun((1L << 39) + i * 9000L, 1));
    }

    assertThat(overTheWire(map)).isEqualTo(map);
  }

  private static void assertRefused(WireProto.PoisonMapPart part, String reason) {
    byte[] bytes = Envelope.newBuilder().setPoisonMapPart(part).build().toByteArray();

    assertThatThrownBy(() -> MessageReader.message(ByteBuffer.wrap(bytes)))
        .isInstanceOf(ProtocolException.class)
        .hasMessageContaining("message POISON_MAP_PART is not allowed: ")
        .hasMessageContaining(reason);
  }

  private static WireProto.PoisonMapPart.Builder onePage() {
    PoisonMap map = new PoisonMap();
    map.add(common(12, "mars", 5), new PageRun(7, 1));
    return LostExtents.toProto(map).toBuilder();
  }

  private static WireProto.PoisonMapPart saying(byte[] runs) {
    WireProto.PoisonMapPart.Builder part = onePage();
    part.getLossesBuilder(0).setRuns(ByteString.copyFrom(runs));
    return part.build();
  }

  private static byte[] runs(PageRun... runs) {
    RunWriter writer = new RunWriter();
    List.of(runs).forEach(writer::add);
    return writer.bytes();
  }

  @Test
  void aPartThatSaysNothingIsRefusedAsThatOfAnEarlierWardIs() {
    var entries = PoisonEntries.toProto(List.of(Messages.entry(3))).toByteString();
    var unknown =
        com.google.protobuf.UnknownFieldSet.newBuilder()
            .addField(
                1,
                com.google.protobuf.UnknownFieldSet.Field.newBuilder()
                    .addLengthDelimited(entries)
                    .build())
            .build();

    assertRefused(WireProto.PoisonMapPart.getDefaultInstance(), "without a loss");
    assertRefused(
        WireProto.PoisonMapPart.newBuilder().setUnknownFields(unknown).build(), "without a loss");
    assertRefused(saying(new byte[0]), "circumstances without a lost extent");
  }

  @Test
  void runsThatAreCutOffEmptyOrBeyondEveryGuestAreRefused() {
    assertRefused(saying(new byte[] {5}), "is cut off");
    assertRefused(saying(new byte[] {5, (byte) 0x80}), "is cut off");
    assertRefused(saying(new byte[] {5, 0}), "a run of 0 lost extents, 5 extents after extent 0");
    assertRefused(saying(runs(new PageRun(1L << 40, 1))), "below extent 1099511627776");
    assertRefused(saying(runs(new PageRun(0, (1L << 40) + 1))), "are allowed");
    assertRefused(
        saying(runs(new PageRun(0, 1), new PageRun(Long.MAX_VALUE - 9, 3))), "are allowed");
    byte[] endless = new byte[40];
    java.util.Arrays.fill(endless, (byte) 0xff);
    assertRefused(saying(endless), "has more than 63 bits");
  }

  /** A few bytes that would take gigabytes. */
  @Test
  void whatWouldTakeMemoryIsRefusedBeforeItDoes() {
    assertRefused(saying(runs(new PageRun(0, 1L << 40))), "1073741824 in a message");
    assertRefused(
        saying(runs(new PageRun(0, 1L << 30), new PageRun((1L << 30) + 1, 1))),
        "losses of at least 2 runs and 1073741825 pages; at most 65536 and 1073741824");
    RunWriter many = new RunWriter();
    for (int i = 0; i < 65_537; i++) {
      many.add(new PageRun(2L * i, 1));
    }
    assertRefused(saying(many.bytes()), "losses of at least 65537 runs");
    WireProto.PoisonMapPart.Builder part = onePage();
    for (int i = 0; i < 4096; i++) {
      part.addLosses(part.getLosses(0));
    }
    assertRefused(part.build(), "losses in 4097 circumstances; at most 4096 in a message");
  }

  @Test
  void circumstancesThatDoNotExistAreRefused() {
    var host = onePage();
    host.getLossesBuilder(0).setHost(1);
    assertRefused(host.build(), "lost extents of host 1; the message names 1 hosts");
    var shift = onePage();
    shift.getLossesBuilder(0).setPageShift(31);
    assertRefused(shift.build(), "page shift 31; 12 to 30 is allowed");
    var severity = onePage();
    severity.getLossesBuilder(0).clearSeverity();
    assertRefused(severity.build(), "without a severity that is known here");
    var discovery = onePage();
    discovery.getLossesBuilder(0).clearDiscovery();
    assertRefused(discovery.build(), "without a discovery that is known here");
  }

  @Test
  void theSameLossInTwoPartsIsOneLoss() {
    PoisonEntry entry = Messages.entry(3);
    PoisonMap twice = PoisonMap.of(List.of(entry));

    twice.addAll(PoisonMap.of(List.of(entry)));

    assertThat(twice.size()).isEqualTo(1);
  }
}
