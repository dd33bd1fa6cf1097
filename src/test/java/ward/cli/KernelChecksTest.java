package ward.cli;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Set;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import ward.cli.HostFinding.Status;
import ward.uffd.PoisonMarkers;

class KernelChecksTest {

  @TempDir Path settings;

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
  void withoutPoisonPagesAreMarkedInAnotherWay() {
    kernel.features = 0xffe;
    kernel.populateAnswer = -Errno.EFAULT.intValue();

    assertThat(named(userfaultfd(), "UFFD_FEATURE_POISON"))
        .isEqualTo(
            HostFinding.warning(
                "UFFD_FEATURE_POISON",
                "not offered: lost pages are marked in another way",
                "Linux 6.6 or later"));
    assertThat(named(userfaultfd(), "UFFD_FEATURE_MOVE").status()).isEqualTo(Status.WARNING);
    assertThat(named(poison(), PoisonCheck.ROUND_TRIP).finding())
        .isEqualTo("a page was poisoned (SIGBUS) and MADV_POPULATE_READ answers EFAULT");
    assertThat(kernel.open).isEmpty();
    assertThat(kernel.mapped).isEmpty();
  }

  @Test
  void aHostThatCannotPlaceAMarkerIsNoDestination() {
    kernel.features = 0xffe;
    kernel.mapOverAnswer = -Errno.ENODEV.intValue();

    assertThat(named(poison(), PoisonCheck.ROUND_TRIP).blocks())
        .isEqualTo(Set.of(HostRole.DESTINATION));
  }

  private List<HostFinding> markers() {
    return new MarkerCheck(new PoisonMarkers(kernel, settings)).run();
  }

  private void setting(String name, String value) throws IOException {
    Files.writeString(settings.resolve(name), value + System.lineSeparator());
  }

  @Test
  void theBestMarkerIsTheFirstThatWorks() throws IOException {
    setting("memory_failure_recovery", "1");
    setting("memory_failure_early_kill", "0");

    assertThat(chosenMarker()).startsWith("uffd,");
    kernel.features = 0xffe;
    assertThat(chosenMarker()).startsWith("hwpoison,");
    kernel.hwpoisonAnswer = -Errno.EPERM.intValue();
    assertThat(chosenMarker()).startsWith("sigbus,");

    assertThat(kernel.open).isEmpty();
    assertThat(kernel.mapped).isEmpty();
  }

  private String chosenMarker() {
    return named(markers(), MarkerCheck.CHOSEN).finding();
  }

  @Test
  void saysOfEveryMarkerWhyItIsNotToBeHad() throws IOException {
    kernel.features = 0xffe;
    setting("memory_failure_recovery", "1");
    setting("memory_failure_early_kill", "0");

    assertThat(named(markers(), "marker uffd").finding())
        .isEqualTo("this kernel's userfaultfd has no UFFDIO_POISON; Linux 6.6 or later has it");
    kernel.hwpoisonAnswer = -Errno.EPERM.intValue();
    assertThat(hwpoison()).isEqualTo("MADV_HWPOISON is not permitted; it needs CAP_SYS_ADMIN");
    kernel.hwpoisonAnswer = -Errno.EINVAL.intValue();
    assertThat(hwpoison())
        .isEqualTo("this kernel has no MADV_HWPOISON; one with CONFIG_MEMORY_FAILURE=y has it");
  }

  @Test
  void aKernelThatWouldPanicOrEndWardIsNotAskedToLoseAPage() throws IOException {
    setting("memory_failure_recovery", "0");
    setting("memory_failure_early_kill", "0");
    assertThat(hwpoison())
        .isEqualTo(
            "vm.memory_failure_recovery is 0: this kernel panics when a page is lost; sysctl"
                + " vm.memory_failure_recovery=1");

    setting("memory_failure_recovery", "1");
    setting("memory_failure_early_kill", "1");
    assertThat(hwpoison())
        .isEqualTo(
            "vm.memory_failure_early_kill is 1: the kernel would end Ward itself as soon as the"
                + " page is lost; sysctl vm.memory_failure_early_kill=0");
  }

  private String hwpoison() {
    return named(markers(), "marker hwpoison").finding();
  }

  @Test
  void withoutUserfaultfdThereIsNoMarker() {
    kernel.userfaultfdErrno = Errno.ENOSYS;

    assertThat(named(markers(), MarkerCheck.CHOSEN).blocks())
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
        .isEqualTo("run a kernel with CONFIG_USERFAULTFD=y");
  }

  @Test
  void aKernelThatForgetsPoisonIsNoDestination() {
    kernel.populateAnswer = 0;

    HostFinding finding = named(poison(), PoisonCheck.ROUND_TRIP);

    assertThat(finding.finding())
        .isEqualTo("MADV_POPULATE_READ of a poisoned page (UFFD) answers 0, not EHWPOISON");
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
        .contains("KVM_CAP_ARM_SEA_TO_USER", "KVM_CAP_ARM_NISV_TO_USER", "GICv3")
        .doesNotContain("KVM_CAP_MCE", "KVM_X86_GET_MCE_CAP_SUPPORTED");
    assertThat(kvm("amd64")).extracting(HostFinding::name).noneMatch(it -> it.contains("ARM"));
  }

  @Test
  void anArmHostWithEverythingPassesAndNothingStaysOpen() {
    assertAllOk(kvm("aarch64"));

    assertThat(kernel.open).isEmpty();
  }

  @Test
  void anArmHostWithAnOlderInterruptControllerRunsNoGuests() {
    kernel.ioctlAnswers.put("KVM_CREATE_DEVICE", -Errno.ENODEV.intValue());

    assertThat(named(kvm("aarch64"), "GICv3").blocks()).isEqualTo(Set.of(HostRole.KVM));
    assertThat(kernel.open).isEmpty();
  }
}
