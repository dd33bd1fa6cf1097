package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import java.util.Set;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import ward.cli.HostFinding.Status;

class KernelChecksTest {

  private final ScriptedKernel kernel = new ScriptedKernel();

  private List<HostFinding> userfaultfd() {
    return new UserfaultfdCheck(kernel).run();
  }

  private List<HostFinding> poison() {
    return new PoisonCheck(kernel).run();
  }

  private List<HostFinding> kvm(String architecture) {
    return new KvmCheck(kernel, architecture).run();
  }

  private static HostFinding named(List<HostFinding> findings, String name) {
    return findings.stream().filter(it -> it.name().equals(name)).findFirst().orElseThrow();
  }

  private static void assertAllOk(List<HostFinding> findings) {
    assertThat(findings).extracting(HostFinding::status).containsOnly(Status.OK);
  }

  @Test
  void aKernelWithEverythingPassesAndNothingStaysOpen() {
    assertAllOk(userfaultfd());
    assertAllOk(poison());
    assertAllOk(kvm("amd64"));

    assertThat(kernel.open).isEmpty();
    assertThat(kernel.mapped).isEmpty();
  }

  @Test
  void saysWhichLinuxBroughtEachFeature() {
    assertThat(named(userfaultfd(), "UFFD_FEATURE_POISON").finding()).isEqualTo("since Linux 6.6");
    assertThat(named(userfaultfd(), "UFFD_FEATURE_MOVE").finding()).isEqualTo("since Linux 6.8");
  }

  @Test
  void withoutPoisonAHostIsNoDestination() {
    kernel.features = 0xffe;

    assertThat(named(userfaultfd(), "UFFD_FEATURE_POISON"))
        .isEqualTo(
            HostFinding.missing(
                "UFFD_FEATURE_POISON",
                "not offered: a lost page could not be kept lost",
                "Linux 6.6 or later",
                HostRole.DESTINATION));
    assertThat(named(userfaultfd(), "UFFD_FEATURE_MOVE").status()).isEqualTo(Status.WARNING);
    assertThat(named(poison(), PoisonCheck.ROUND_TRIP).blocks())
        .isEqualTo(Set.of(HostRole.DESTINATION));
  }

  @Test
  void withoutTheRightSaysBothRefusalsAndTheThreeWaysOut() {
    kernel.userfaultfdErrno = Errno.EPERM;
    kernel.refusedOpens.put("/dev/userfaultfd", Errno.EACCES);

    HostFinding finding = named(userfaultfd(), "userfaultfd");

    assertThat(finding.status()).isEqualTo(Status.MISSING);
    assertThat(finding.finding())
        .isEqualTo(
            "userfaultfd(2) on this process failed: EPERM (Operation not permitted); open on"
                + " /dev/userfaultfd failed: EACCES (Permission denied)");
    assertThat(finding.remedy())
        .isEqualTo(
            "run with CAP_SYS_PTRACE, or sysctl vm.unprivileged_userfaultfd=1, or allow reading"
                + " and writing /dev/userfaultfd");
  }

  @Test
  void aKernelBuiltWithoutUserfaultfdIsNamed() {
    kernel.userfaultfdErrno = Errno.ENOSYS;

    assertThat(named(userfaultfd(), "userfaultfd").remedy())
        .isEqualTo("run a kernel with CONFIG_USERFAULTFD=y, Linux 6.6 or later");
  }

  @Test
  void aKernelThatForgetsPoisonIsNoDestination() {
    kernel.populateAnswer = 0;

    HostFinding finding = named(poison(), PoisonCheck.ROUND_TRIP);

    assertThat(finding.finding())
        .isEqualTo("MADV_POPULATE_READ of a poisoned page answers 0, not EHWPOISON");
    assertThat(finding.blocks()).isEqualTo(Set.of(HostRole.DESTINATION));
    assertThat(kernel.mapped).isEmpty();
  }

  @Test
  void aKernelThatReadsPoisonAsDataIsNoSource() {
    kernel.copyOfPoison = 8;

    assertThat(named(poison(), PoisonCheck.SAFE_COPY).blocks()).isEqualTo(Set.of(HostRole.SOURCE));
  }

  @Test
  void aContainerThatForbidsReadingMemoryIsNoSource() {
    kernel.copyOfMemory = -Errno.EPERM.intValue();

    HostFinding finding = named(poison(), PoisonCheck.COPY);

    assertThat(finding.finding())
        .isEqualTo("does not copy inside this process: EPERM (Operation not permitted)");
    assertThat(finding.blocks()).isEqualTo(Set.of(HostRole.SOURCE));
  }

  @Test
  void withoutKvmSaysWhetherItIsTheRightOrTheDevice() {
    kernel.refusedOpens.put("/dev/kvm", Errno.EACCES);
    assertThat(kvm("amd64"))
        .containsExactly(
            HostFinding.missing(
                "/dev/kvm",
                "open on /dev/kvm failed: EACCES (Permission denied)",
                "add this user to the group of /dev/kvm, or run as root",
                HostRole.KVM));

    kernel.refusedOpens.put("/dev/kvm", Errno.ENOENT);
    assertThat(kvm("amd64").get(0).remedy()).startsWith("load kvm_intel or kvm_amd");
  }

  @Test
  void countsMachineCheckBanksAndNamesTheBits() {
    assertThat(named(kvm("amd64"), "KVM_CAP_MCE").finding()).isEqualTo("32 banks");
    assertThat(named(kvm("amd64"), "KVM_X86_GET_MCE_CAP_SUPPORTED").finding())
        .isEqualTo("0x1000100: CTL_P, SER_P");
  }

  @Test
  void aCapabilityThatWardNeedsBlocksKvmAndAnotherDoesNot() {
    kernel.capabilities.put(16L, 0);
    kernel.capabilities.put(232L, 0);

    assertThat(named(kvm("amd64"), "KVM_CAP_SYNC_MMU").blocks()).isEqualTo(Set.of(HostRole.KVM));
    assertThat(named(kvm("amd64"), "KVM_CAP_MEMORY_FAULT_INFO"))
        .isEqualTo(
            HostFinding.warning(
                "KVM_CAP_MEMORY_FAULT_INFO", "no", "Linux 6.8 or later; Ward works without"));
  }

  @Test
  void tooFewMachineCheckBanksBlockKvm() {
    kernel.capabilities.put(31L, 1);

    assertThat(named(kvm("amd64"), "KVM_CAP_MCE").finding()).isEqualTo("only 1");
    assertThat(named(kvm("amd64"), "KVM_CAP_MCE").blocks()).isEqualTo(Set.of(HostRole.KVM));
  }

  @Test
  void anotherHypervisorOnTheCpuBlocksKvm() {
    kernel.ioctlAnswers.put("KVM_CREATE_VM", -Errno.EBUSY.intValue());

    assertThat(named(kvm("amd64"), "KVM_CREATE_VM").blocks()).isEqualTo(Set.of(HostRole.KVM));
  }

  @Test
  void anUnknownVersionOfKvmBlocksIt() {
    kernel.ioctlAnswers.put("KVM_GET_API_VERSION", 13);

    assertThat(named(kvm("amd64"), "KVM API").finding()).isEqualTo("version 13");
    assertThat(named(kvm("amd64"), "KVM API").blocks()).isEqualTo(Set.of(HostRole.KVM));
  }

  @Test
  void asksOnArmWhatMattersOnArm() {
    assertThat(kvm("aarch64"))
        .extracting(HostFinding::name)
        .contains("KVM_CAP_ARM_SEA_TO_USER", "KVM_CAP_ARM_NISV_TO_USER")
        .doesNotContain("KVM_CAP_MCE", "KVM_X86_GET_MCE_CAP_SUPPORTED");
    assertThat(kvm("amd64")).extracting(HostFinding::name).noneMatch(it -> it.contains("ARM"));
  }
}
