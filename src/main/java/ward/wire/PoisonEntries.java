package ward.wire;

import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import ward.poison.Origin;
import ward.poison.PoisonEntry;
import ward.poison.Severity;
import ward.wire.proto.WireProto;

/** Entries of a ledger as Protocol Buffers, and back. Each host's name is sent once a message. */
final class PoisonEntries {

  private PoisonEntries() {}

  static WireProto.PoisonEntries toProto(List<PoisonEntry> entries) {
    WireProto.PoisonEntries.Builder proto = WireProto.PoisonEntries.newBuilder();
    Map<String, Integer> hosts = new LinkedHashMap<>();
    for (PoisonEntry entry : entries) {
      Integer host = hosts.computeIfAbsent(entry.origin().host(), name -> hosts.size());
      proto.addEntries(toProto(entry, host));
    }
    return proto.addAllHosts(hosts.keySet()).build();
  }

  private static WireProto.PoisonEntry toProto(PoisonEntry entry, int host) {
    return WireProto.PoisonEntry.newBuilder()
        .setGuestPhysicalAddress(entry.guestPhysicalAddress())
        .setPageShift(entry.pageShift())
        .setSeverity(toProto(entry.severity()))
        .setHost(host)
        .setTimeMillis(entry.origin().time().toEpochMilli())
        .setDiscovery(toProto(entry.origin().discovery()))
        .build();
  }

  static List<PoisonEntry> fromProto(WireProto.PoisonEntries proto) {
    if (proto.getEntriesCount() > ControlMessage.ENTRIES_MAX) {
      throw new IllegalArgumentException(
          "%d poison entries; at most %d in a message"
              .formatted(proto.getEntriesCount(), ControlMessage.ENTRIES_MAX));
    }
    List<PoisonEntry> entries = new ArrayList<>(proto.getEntriesCount());
    for (WireProto.PoisonEntry entry : proto.getEntriesList()) {
      entries.add(fromProto(entry, proto.getHostsList()));
    }
    return entries;
  }

  private static PoisonEntry fromProto(WireProto.PoisonEntry proto, List<String> hosts) {
    if (proto.getHost() < 0 || proto.getHost() >= hosts.size()) {
      throw new IllegalArgumentException(
          "poison entry of host %s; the message names %d hosts"
              .formatted(Integer.toUnsignedString(proto.getHost()), hosts.size()));
    }
    return new PoisonEntry(
        proto.getGuestPhysicalAddress(),
        proto.getPageShift(),
        fromProto(proto.getSeverity()),
        new Origin(
            hosts.get(proto.getHost()),
            Instant.ofEpochMilli(proto.getTimeMillis()),
            fromProto(proto.getDiscovery())));
  }

  static WireProto.PoisonEntry.Severity toProto(Severity severity) {
    return switch (severity) {
      case ACTION_REQUIRED -> WireProto.PoisonEntry.Severity.ACTION_REQUIRED;
      case ACTION_OPTIONAL -> WireProto.PoisonEntry.Severity.ACTION_OPTIONAL;
    };
  }

  static Severity fromProto(WireProto.PoisonEntry.Severity proto) {
    return switch (proto) {
      case ACTION_REQUIRED -> Severity.ACTION_REQUIRED;
      case ACTION_OPTIONAL -> Severity.ACTION_OPTIONAL;
      case SEVERITY_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("poison entry without a severity that is known here");
    };
  }

  static WireProto.PoisonEntry.Discovery toProto(Origin.Discovery discovery) {
    return switch (discovery) {
      case DECLARED -> WireProto.PoisonEntry.Discovery.DECLARED;
      case UNREADABLE -> WireProto.PoisonEntry.Discovery.UNREADABLE;
      case REPORTED -> WireProto.PoisonEntry.Discovery.REPORTED;
      case CONSUMED -> WireProto.PoisonEntry.Discovery.CONSUMED;
      case SOURCE_LOST -> WireProto.PoisonEntry.Discovery.SOURCE_LOST;
    };
  }

  static Origin.Discovery fromProto(WireProto.PoisonEntry.Discovery proto) {
    return switch (proto) {
      case DECLARED -> Origin.Discovery.DECLARED;
      case UNREADABLE -> Origin.Discovery.UNREADABLE;
      case REPORTED -> Origin.Discovery.REPORTED;
      case CONSUMED -> Origin.Discovery.CONSUMED;
      case SOURCE_LOST -> Origin.Discovery.SOURCE_LOST;
      case DISCOVERY_UNSPECIFIED, UNRECOGNIZED ->
          throw new IllegalArgumentException("poison entry without a discovery that is known here");
    };
  }
}
