package ward.wire;

import java.time.Instant;
import java.util.List;
import java.util.UUID;
import java.util.stream.IntStream;
import java.util.stream.Stream;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.MemoryIdentity;
import ward.memory.PageRun;
import ward.memory.PageSample;
import ward.memory.PageSet;
import ward.poison.Departure;
import ward.poison.LedgerDigest;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.PoisonMap;
import ward.poison.Severity;
import ward.wire.ControlMessage.Refusal;

/** One of each message, with every field set to something that is not its default. */
final class Messages {

  static final UUID SESSION = UUID.fromString("6b1f1c1e-0d5c-4f3e-9a77-2f5a1f0c9d11");

  private Messages() {}

  static ControlMessage.Hello hello(ProtocolVersion version) {
    return new ControlMessage.Hello(
        Role.SOURCE, ConnectionKind.CONTROL, SESSION, 3, version, "mars.example");
  }

  static LedgerDigest digest() {
    byte[] bytes = new byte[32];
    bytes[0] = 1;
    bytes[31] = -1;
    return LedgerDigest.of(bytes);
  }

  static GuestLayout layout() {
    return new GuestLayout(
        "guest-1",
        List.of(
            new GuestRegion(0, 0xA_0000, 0), new GuestRegion(0x1_0000_0000L, 1L << 30, 0x10_0000)));
  }

  static MemoryIdentity memory() {
    return new MemoryIdentity(
        layout(),
        List.of(
            new PageSample(0x9f, "0123456789abcdef".repeat(4)),
            new PageSample(0x10_0001, "f0".repeat(32))));
  }

  static PoisonEntry entry(long page) {
    return new PoisonEntry(
        page << 12,
        12,
        page % 2 == 0 ? Severity.ACTION_REQUIRED : Severity.ACTION_OPTIONAL,
        new Origin(
            page % 3 == 0 ? "venus" : "mars.example",
            Instant.ofEpochMilli(1_700_000_000_000L + page),
            Origin.Discovery.values()[(int) (page % 4)]));
  }

  static List<PoisonEntry> entries(int count) {
    return IntStream.range(0, count).mapToObj(Messages::entry).toList();
  }

  static PageSet pages(PageRun... runs) {
    PageSet set = new PageSet();
    List.of(runs).forEach(set::add);
    return set;
  }

  /** Runs of one page with a page between each two. */
  static PageSet runs(int count) {
    PageSet set = new PageSet();
    IntStream.range(0, count).forEach(i -> set.add(2L * i));
    return set;
  }

  static Stream<ControlMessage> all() {
    PageSet poisoned = pages(new PageRun(0, 1), new PageRun(512, 512), new PageRun(1L << 39, 3));
    PageSet held = pages(new PageRun(7, 2));
    return Stream.of(
        hello(new ProtocolVersion(1, 0)),
        new Refusal(Refusal.Code.BUSY, "another migration is under way: ü"),
        new ControlMessage.GuestOffer(memory(), new byte[] {1, 2, 3}),
        new ControlMessage.SourceIdentity(memory()),
        new ControlMessage.PoisonMapPart(PoisonMap.of(entries(9))),
        new ControlMessage.PoisonMapEnd(9, digest()),
        new ControlMessage.PoisonMapApplied(10, digest()),
        new ControlMessage.GuestReleased(List.of(new Departure("alpha", Instant.ofEpochMilli(5)))),
        new ControlMessage.GuestResumed(),
        new ControlMessage.LatePoison(
            List.of(new PoisonEntry(1L << 30, 30, Severity.ACTION_OPTIONAL, entry(3).origin()))),
        new ControlMessage.PoisonOutcome(poisoned, held),
        new ControlMessage.PoisonGivenUp(poisoned),
        new ControlMessage.HandOver(1, 2, 3, 4, digest()),
        new ControlMessage.HandOverAccepted(),
        new ControlMessage.HandOverConfirmed(),
        new ControlMessage.RecoveryPart(held, poisoned),
        new ControlMessage.RecoveryEnd(5, 6, true, false),
        new ControlMessage.PoisonMapCheck(),
        new ControlMessage.RecoveryAccepted(),
        new ControlMessage.Farewell("the operator said so", true),
        new ControlMessage.ReportPoison(entries(2)),
        new ControlMessage.ReportPoisonResult(poisoned, held, new PageSet()),
        new ControlMessage.StreamControl(true),
        new ControlMessage.StreamLimit(104_857_600),
        new ControlMessage.StatusQuery(),
        new ControlMessage.Status("{\"phase\":\"STREAMING\"}"),
        new ControlMessage.Done("it is done"),
        new ControlMessage.Cancel("too slow", true),
        new ControlMessage.Recover("mars.example", 4444),
        new ControlMessage.RaiseSError(3, 0xc11),
        new ControlMessage.CancelRequest("too slow"),
        new ControlMessage.CancelRefused("the guest runs here"));
  }
}
