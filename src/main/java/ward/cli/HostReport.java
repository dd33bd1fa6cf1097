package ward.cli;

import java.util.List;
import java.util.stream.Collectors;

/** Every finding, and what follows from them. */
record HostReport(List<HostFinding> findings) {

  /** The object of {@code --json}. */
  record Shown(List<ShownCheck> checks, boolean source, boolean destination, boolean kvm) {}

  /**
   * @param remedy null where nothing is to be done
   */
  record ShownCheck(String name, String status, String finding, String remedy) {}

  HostReport {
    findings = List.copyOf(findings);
  }

  static HostReport of(List<HostCheck> checks) {
    return new HostReport(checks.stream().flatMap(check -> check.run().stream()).toList());
  }

  boolean canBeSource() {
    return isFree(HostRole.SOURCE);
  }

  boolean canBeDestination() {
    return isFree(HostRole.DESTINATION);
  }

  boolean canRunGuests() {
    return canBeDestination() && isFree(HostRole.KVM);
  }

  private boolean isFree(HostRole role) {
    return findings.stream().noneMatch(finding -> finding.blocks().contains(role));
  }

  ExitCode exitCode() {
    return canBeSource() && canBeDestination() ? ExitCode.OK : ExitCode.HOST_REFUSED;
  }

  List<String> verdicts() {
    return List.of(
        verdict("source", canBeSource(), HostRole.SOURCE),
        verdict("destination with KVM", canRunGuests(), HostRole.DESTINATION, HostRole.KVM),
        verdict("destination with threads only", canBeDestination(), HostRole.DESTINATION));
  }

  private String verdict(String name, boolean possible, HostRole... roles) {
    return name + ": " + (possible ? "yes" : "no, for want of " + wanting(List.of(roles)));
  }

  private String wanting(List<HostRole> roles) {
    return findings.stream()
        .filter(finding -> roles.stream().anyMatch(finding.blocks()::contains))
        .map(HostFinding::name)
        .collect(Collectors.joining(", "));
  }

  int nameWidth() {
    return findings.stream().mapToInt(finding -> finding.name().length()).max().orElse(1);
  }

  Shown shown() {
    return new Shown(
        findings.stream().map(HostReport::shown).toList(),
        canBeSource(),
        canBeDestination(),
        canRunGuests());
  }

  private static ShownCheck shown(HostFinding finding) {
    return new ShownCheck(
        finding.name(),
        finding.status().name().toLowerCase(java.util.Locale.ROOT),
        finding.finding(),
        finding.remedy().isEmpty() ? null : finding.remedy());
  }
}
