package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.OptionalLong;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.poison.Severity;
import ward.testbed.acpi.Arm64Machine;
import ward.testbed.lab.LabParts;
import ward.testbed.linux.Arm64Image;
import ward.testbed.linux.Arm64LinuxBoot;
import ward.testbed.linux.EmulatedArm64;
import ward.testbed.linux.InitialFiles;
import ward.vcpu.GhesErrorSource.Delivery;

/**
 * What an unmodified arm64 Linux kernel makes of the ACPI tables and of the error records. The
 * machine is emulated and its RAM is a file which the records are written into, as into the memory
 * of a guest of Ward.
 *
 * <p>Runs where {@code WARD_LABS} is {@code on}, with what the arm64 lab fetches.
 */
class GhesLinuxScenario {

  private static final GuestRegion RAM = new GuestRegion(EmulatedArm64.RAM_ADDRESS, 512 << 20, 0);
  private static final int CPUS = 2;
  private static final int WARNED_PAGES = 40;
  private static final Duration PATIENCE = Duration.ofSeconds(120);

  @TempDir Path directory;

  private final NativeKernel kernel = NativeKernel.load();

  @BeforeAll
  static void requireLabs() {
    Assumptions.assumeTrue("on".equals(System.getenv("WARD_LABS")), "WARD_LABS is not \"on\"");
  }

  private static MemoryError error(long gpa, Severity severity) {
    return new MemoryError(
        OptionalLong.of(gpa), severity, 12, MemoryError.Input.SIGBUS_ACTION_REQUIRED, 0);
  }

  @Test
  @Timeout(600)
  void linuxTakesPagesOutOfUseWhenWarnedAndKillsOnlyWhoConsumedOne() throws Exception {
    LabParts parts = LabParts.ofArm64("trixie-backports", System.out::println);
    byte[] init = Files.readAllBytes(parts.guestPrograms().resolve("victims"));
    byte[] files =
        new InitialFiles().directory("proc").directory("dev").program("init", init).toBytes();
    Arm64LinuxBoot boot =
        new Arm64LinuxBoot(
            Arm64Machine.ofQemu(CPUS),
            RAM,
            Arm64Image.read(parts.kernelImage()),
            files,
            "console=ttyAMA0 rdinit=/init panic=-1",
            /* polled= */ true);
    Path ramFile = directory.resolve("ram");
    try (EmulatedArm64 machine = new EmulatedArm64(parts.machines(), ramFile, RAM, CPUS, boot);
        Fd file = kernel.open(ramFile.toString(), Linux.O_RDWR)) {
      long ram = kernel.mapShared(file, 0, RAM.lengthBytes(), Linux.PROT_READ | Linux.PROT_WRITE);
      try {
        tellOfLosses(machine, boot.ghes().layout(), ram);
      } finally {
        kernel.unmap(ram, RAM.lengthBytes());
      }
    }
  }

  private void tellOfLosses(EmulatedArm64 machine, GhesLayout layout, long ram) throws Exception {
    GuestMemory memory = new GuestMemory(new GuestLayout("linux", List.of(RAM)), new long[] {ram});
    ErrorSources sources = ErrorSources.of(kernel, memory, layout);
    machine.await("GHES: APEI firmware first mode is enabled", PATIENCE);

    List<Long> warned = pages(machine, "warned", WARNED_PAGES);
    warn(sources.polled().orElseThrow(), warned);
    machine.await("VICTIM warned", PATIENCE);
    long mailbox = pages(machine, "mailbox", 1).get(0);
    long consumed = pages(machine, "consumed", 1).get(0);
    writeRecord(sources.consumed().orElseThrow(), consumed);
    putLong(ram, mailbox, 1);
    machine.await("VICTIM consumed", PATIENCE);
    machine.await("ALIVE", PATIENCE);
    for (GhesSource source : layout.sources()) {
      awaitAcknowledgement(source, ram);
    }
    for (long page : warned) {
      machine.await(recoveryOf(page), PATIENCE);
    }
    // The kernel sends the signal first: its last word may come after the program's end.
    machine.await(recoveryOf(consumed), PATIENCE);
    assertConsole(machine.console());
  }

  /** As a vCPU's thread does it: again and again, whenever it is out of the guest. */
  private static void warn(PolledErrorSource source, List<Long> pages) throws Exception {
    pages.forEach(page -> source.announce(error(page, Severity.ACTION_OPTIONAL)));
    while (source.hasWaiting()) {
      source.deliverWaiting();
      Thread.sleep(1);
    }
  }

  private static void writeRecord(GhesErrorSource source, long page) {
    assertThat(source.deliver(error(page, Severity.ACTION_REQUIRED))).isEqualTo(Delivery.WRITTEN);
    assertThat(source.deliver(error(page, Severity.ACTION_REQUIRED)))
        .as("no abort has come, so nobody has read the first")
        .isEqualTo(Delivery.WAITS);
  }

  private static void assertConsole(List<String> console) {
    assertThat(console).noneMatch(line -> line.contains("[Firmware"));
    assertThat(console.stream().map(GhesLinuxScenario::withoutKernel))
        .filteredOn(line -> line.matches("(SIGNAL|VICTIM|READ|CORRUPTED).*"))
        .as("both were told by BUS_MCEERR_AR, only after they had touched what was lost")
        .containsExactly(
            "SIGNAL 7 code 4 lsb 12",
            "VICTIM warned exit 42 signal 0",
            "SIGNAL 7 code 4 lsb 12",
            "VICTIM consumed exit 42 signal 0",
            "CORRUPTED %d kB".formatted((WARNED_PAGES + 1) * 4));
  }

  /** What the kernel logs may follow a program's line before that one's end has been sent. */
  private static String withoutKernel(String line) {
    return line.replaceFirst("\\[ *\\d+\\.\\d+\\] .*", "");
  }

  private static String recoveryOf(long gpa) {
    return "Memory failure: 0x%x: recovery action for .*: Recovered$".formatted(gpa >> Pages.SHIFT);
  }

  private static List<Long> pages(EmulatedArm64 machine, String name, int count) throws Exception {
    return machine.await("PAGE " + name + " (0x[0-9a-f]+)", count, PATIENCE).stream()
        .map(match -> Long.decode(match.group(1)))
        .toList();
  }

  private void awaitAcknowledgement(GhesSource source, long ram) throws InterruptedException {
    long register = source.readAckRegister() - RAM.guestPhysicalAddress() + ram;
    NativeMemory value = NativeMemory.allocate(Long.BYTES);
    while (value.getLong(0) == 0) {
      assertThat(kernel.copy(value.address(), register, Long.BYTES)).isEqualTo(Long.BYTES);
      Thread.sleep(1);
    }
    assertThat(value.getLong(0)).isEqualTo(GhesSource.READ_ACK);
  }

  private void putLong(long ram, long gpa, long value) {
    NativeMemory number = NativeMemory.allocate(Long.BYTES);
    number.putLong(0, value);
    long address = gpa - RAM.guestPhysicalAddress() + ram;
    assertThat(kernel.copy(address, number.address(), Long.BYTES)).isEqualTo(Long.BYTES);
  }
}
