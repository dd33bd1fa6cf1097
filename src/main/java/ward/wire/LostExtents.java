package ward.wire;

import java.time.Instant;
import java.util.LinkedHashMap;
import java.util.Map;
import ward.poison.Circumstances;
import ward.poison.Origin;
import ward.poison.PoisonMap;
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
    PageRuns runs = new PageRuns();
    losses.forEach(
        (common, extents) -> {
          int host = hosts.computeIfAbsent(common.origin().host(), name -> hosts.size());
          WireProto.LostExtents.Builder to = proto.addLossesBuilder();
          write(common, host, to);
          runs.write(extents, common.pageShift(), to::addGapAndCount);
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
    PageRuns runs = new PageRuns();
    for (WireProto.LostExtents from : proto.getLossesList()) {
      Circumstances common = common(from, proto);
      if (from.getGapAndCountCount() == 0) {
        throw new IllegalArgumentException("circumstances without a lost extent");
      }
      runs.read(from.getGapAndCountList(), common.pageShift(), run -> losses.add(common, run));
    }
    return losses;
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
