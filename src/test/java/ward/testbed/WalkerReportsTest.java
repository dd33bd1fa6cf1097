package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testbed.WalkerReports.PassDone;
import ward.testbed.WalkerReports.Unexpected;

class WalkerReportsTest {

  private static final int[] PASS = {0x57440001, 1, 5, 2, 7, 0xffffffff, 0x12345678};
  private static final int[] MACHINE_CHECK = {
    0x57440002, 0x5000, 1, 0x134, 0xbd800000, 0x5000, 1, 7, 0x8c
  };
  private static final int[] UNEXPECTED = {0x57440003, 14, 4, 0x6010, 0};

  private final WalkerReports reports = new WalkerReports();

  private void send(int vcpu, int[] words) {
    for (int word : words) {
      reports.onWord(vcpu, word);
    }
  }

  @Test
  void aFinishedPassIsDecodedLowHalvesFirst() {
    send(3, PASS);

    assertThat(reports.passes())
        .containsExactly(new PassDone(3, 1, 0x200000005L, 7, 0x12345678ffffffffL));
  }

  @Test
  void aMachineCheckIsDecodedLowHalvesFirst() {
    send(2, MACHINE_CHECK);

    assertThat(reports.machineChecks())
        .containsExactly(
            new MachineCheckSeen(2, 0x100005000L, 0xbd80000000000134L, 0x100005000L, 7, 0x8c));
  }

  @Test
  void anUnexpectedExceptionIsDecoded() {
    send(0, UNEXPECTED);

    assertThat(reports.unexpected()).containsExactly(new Unexpected(0, 14, 4, 0x6010));
  }

  @Test
  void theWordsOfTwoVcpusMayAlternate() {
    for (int i = 0; i < MACHINE_CHECK.length; i++) {
      if (i < PASS.length) {
        reports.onWord(0, PASS[i]);
      }
      reports.onWord(1, MACHINE_CHECK[i]);
    }

    assertThat(reports.passes()).extracting(PassDone::vcpu).containsExactly(0);
    assertThat(reports.machineChecks()).extracting(MachineCheckSeen::vcpu).containsExactly(1);
  }

  @Test
  void oneReportFollowsAnotherWithoutAGap() {
    send(0, MACHINE_CHECK);
    send(0, PASS);
    send(0, MACHINE_CHECK);

    assertThat(reports.machineChecks()).hasSize(2);
    assertThat(reports.passes()).hasSize(1);
    assertThat(reports.unexpected()).isEmpty();
  }

  @Test
  void halfAReportIsNoneYet() {
    for (int i = 0; i < PASS.length - 1; i++) {
      reports.onWord(0, PASS[i]);
    }
    assertThat(reports.passes()).isEmpty();

    reports.onWord(0, PASS[PASS.length - 1]);

    assertThat(reports.passes()).hasSize(1);
  }

  @Test
  void aWordThatBeginsNoReportIsAnErrorOfTheGuestProgram() {
    assertThatThrownBy(() -> reports.onWord(4, 0xbad))
        .isInstanceOf(IllegalStateException.class)
        .hasMessage("vCPU 4 reports tag 0xbad");
  }
}
