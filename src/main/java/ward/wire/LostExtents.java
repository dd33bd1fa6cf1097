package ward.wire;

import com.google.protobuf.UnsafeByteOperations;
import java.nio.ByteBuffer;
import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.poison.Circumstances;
import ward.poison.Origin;
import ward.poison.PoisonMap;
import ward.poison.RunReader;
import ward.poison.RunWriter;
import ward.wire.proto.WireProto;

/**
 * Part of a poison map as Protocol Buffers, and back: what losses have in common is said once, then
 * a run of them takes two small numbers. A million losses in clusters of eight take half a byte
 * each, alone two or three.
 */
final class LostExtents {

  private LostExtents() {}

  static WireProto.PoisonMapPart toProto(PoisonMap losses) {
    requireCircumstances(losses.circumstances());
    WireProto.PoisonMapPart.Builder proto = WireProto.PoisonMapPart.newBuilder();
    Map<String, Integer> hosts = new LinkedHashMap<>();
    losses.forEach(
        (common, extents) -> {
          int host = hosts.computeIfAbsent(common.origin().host(), name -> hosts.size());
          WireProto.LostExtents.Builder to = proto.addLossesBuilder();
          write(common, host, to);
          RunWriter runs = new RunWriter();
          extents.forEachRun(runs::add);
          to.setRuns(UnsafeByteOperations.unsafeWrap(runs.bytes()));
        });
    return proto.addAllHosts(hosts.keySet()).build();
  }

  private static void write(Circumstances common, int host, WireProto.LostExtents.Builder to) {
    to.setPageShift(common.pageShift())
        .setSeverity(PoisonEntries.toProto(common.severity()))
        .setHost(host)
        .setTimeMillis(common.origin().time().toEpochMilli())
        .setDiscovery(PoisonEntries.toProto(common.origin().discovery()));
  }

  /**
   * @throws IllegalArgumentException for what is not allowed, before memory is spent on it
   */
  static PoisonMap fromProto(WireProto.PoisonMapPart proto) {
    requireCircumstances(proto.getLossesCount());
    PoisonMap losses = new PoisonMap();
    RunsRead read = new RunsRead();
    for (WireProto.LostExtents from : proto.getLossesList()) {
      Circumstances common = common(from, proto);
      if (from.getRuns().isEmpty()) {
        throw new IllegalArgumentException("circumstances without a lost extent");
      }
      read.addTo(losses, common, from.getRuns().asReadOnlyByteBuffer());
    }
    return losses;
  }

  /**
   * Counts what one message loses: a few bytes can describe a run that takes gigabytes to hold, and
   * runs far apart take more to hold than to say.
   */
  private static final class RunsRead {
    private int runs;
    private long pages;

    void addTo(PoisonMap losses, Circumstances common, ByteBuffer bytes) {
      RunReader reader = new RunReader(bytes, GuestRegion.MAX_ADDRESS >>> common.pageShift());
      PageSet extents = new PageSet();
      while (reader.hasNext()) {
        PageRun run = reader.next();
        count(common.framesOf(run).pageCount());
        extents.add(run);
      }
      losses.add(common, extents);
    }

    private void count(long more) {
      runs++;
      pages += more;
      if (runs > ControlMessage.RUNS_MAX || pages > ControlMessage.SET_PAGES_MAX) {
        throw new IllegalArgumentException(
            "losses of at least %d runs and %d pages; at most %d and %d in a message"
                .formatted(runs, pages, ControlMessage.RUNS_MAX, ControlMessage.SET_PAGES_MAX));
      }
    }
  }

  private static Circumstances common(WireProto.LostExtents from, WireProto.PoisonMapPart message) {
    if (from.getHost() < 0 || from.getHost() >= message.getHostsCount()) {
      throw new IllegalArgumentException(
          "lost extents of host %s; the message names %d hosts"
              .formatted(Integer.toUnsignedString(from.getHost()), message.getHostsCount()));
    }
    return new Circumstances(
        from.getPageShift(),
        PoisonEntries.fromProto(from.getSeverity()),
        new Origin(
            message.getHosts(from.getHost()),
            Instant.ofEpochMilli(from.getTimeMillis()),
            PoisonEntries.fromProto(from.getDiscovery())));
  }

  private static void requireCircumstances(int count) {
    if (count > ControlMessage.ENTRIES_MAX) {
      throw new IllegalArgumentException(
          "losses in %d circumstances; at most %d in a message"
              .formatted(count, ControlMessage.ENTRIES_MAX));
    }
  }
}
