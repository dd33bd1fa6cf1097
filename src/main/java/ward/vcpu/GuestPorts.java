package ward.vcpu;

import java.util.HashSet;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;

/**
 * The devices of a guest: two ports, and nothing else.
 *
 * <pre>
 * 0x500  write, 32 bits   a word of the guest's report
 * 0x501  write            this vCPU is off
 * </pre>
 */
final class GuestPorts {

  static final int REPORT = 0x500;
  static final int POWER_OFF = 0x501;

  private static final Logger LOG = LoggerFactory.getLogger(GuestPorts.class);

  private final int vcpu;
  private final ReportListener reports;
  private final Set<Integer> mentioned = new HashSet<>();
  private boolean mmioMentioned;

  GuestPorts(int vcpu, ReportListener reports) {
    this.vcpu = vcpu;
    this.reports = reports;
  }

  /**
   * Handles a KVM_EXIT_IO.
   *
   * @return whether the vCPU goes on
   */
  boolean onIo(KvmRun exit) {
    if (exit.isOut() && exit.ioPort() == POWER_OFF) {
      return false;
    }
    if (exit.isOut() && exit.ioPort() == REPORT && exit.ioSizeBytes() == Integer.BYTES) {
      for (int i = 0; i < exit.ioCount(); i++) {
        reports.onWord(vcpu, exit.ioValue(i));
      }
    } else {
      onUnknownPort(exit);
    }
    return true;
  }

  private void onUnknownPort(KvmRun exit) {
    if (mentioned.add(exit.ioPort())) {
      LOG.info(
          "vCPU {} {} port 0x{} ({} bytes), where nothing is attached; not mentioned again",
          vcpu,
          exit.isOut() ? "writes to" : "reads from",
          Integer.toHexString(exit.ioPort()),
          exit.ioSizeBytes());
    }
    if (!exit.isOut()) {
      exit.answerIoWithOnes();
    }
  }

  /** Handles a KVM_EXIT_MMIO outside RAM. */
  void onMmio(KvmRun exit) {
    if (!mmioMentioned) {
      mmioMentioned = true;
      LOG.info(
          "vCPU {} accesses GPA 0x{}, where nothing is attached; not mentioned again",
          vcpu,
          Long.toHexString(exit.mmioAddress()));
    }
    if (!exit.mmioIsWrite()) {
      exit.answerMmioWithOnes();
    }
  }
}
