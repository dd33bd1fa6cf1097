package ward.cli;

import java.net.InetAddress;
import java.net.UnknownHostException;

/** This host's name, as it is written into ledgers. */
final class HostName {

  private HostName() {}

  /** What the operator chose, or what the system says. */
  static String orSystems(String chosen) {
    return chosen != null ? chosen : systems();
  }

  private static String systems() {
    try {
      return InetAddress.getLocalHost().getHostName();
    } catch (UnknownHostException e) {
      return "localhost"; // a host without a name can still migrate
    }
  }
}
