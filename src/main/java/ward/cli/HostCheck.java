package ward.cli;

import java.util.List;

/** Looks at one side of this host. Never throws for what the host lacks: that is a finding. */
@FunctionalInterface
interface HostCheck {
  List<HostFinding> run();
}
