package ward.cli;

import java.util.Set;

/**
 * What one check found on this host.
 *
 * @param remedy what to do about it; empty where nothing is to be done
 * @param blocks what this host cannot be because of it
 */
record HostFinding(
    String name, Status status, String finding, String remedy, Set<HostRole> blocks) {

  enum Status {
    OK,
    /** Ward works, but not with everything. */
    WARNING,
    /** Ward cannot be a source, or not a destination. */
    MISSING
  }

  HostFinding {
    blocks = Set.copyOf(blocks);
  }

  static HostFinding ok(String name, String finding) {
    return new HostFinding(name, Status.OK, finding, "", Set.of());
  }

  static HostFinding warning(String name, String finding, String remedy) {
    return new HostFinding(name, Status.WARNING, finding, remedy, Set.of());
  }

  /** Something is not there. Where that only costs KVM, it is a warning. */
  static HostFinding missing(String name, String finding, String remedy, HostRole... blocks) {
    Set<HostRole> blocked = Set.of(blocks);
    Status status = blocked.equals(Set.of(HostRole.KVM)) ? Status.WARNING : Status.MISSING;
    return new HostFinding(name, status, finding, remedy, blocked);
  }

  /** {@code missing NAME finding -> remedy}. */
  String line(int nameWidth) {
    String status = this.status.name().toLowerCase(java.util.Locale.ROOT);
    String text =
        ("%-7s  %-" + nameWidth + "s  %s").formatted(status, name, finding.replace('\n', ' '));
    return remedy.isEmpty() ? text : text + "  -> " + remedy;
  }
}
