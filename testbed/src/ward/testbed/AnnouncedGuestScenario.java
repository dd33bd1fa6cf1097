package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assertions.assertEquals;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import java.util.stream.StreamSupport;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import ward.cli.ControlClient;
import ward.cli.ExitCode;
import ward.cli.LayoutFile;
import ward.kernel.NativeKernel;
import ward.memory.PageSet;
import ward.testbed.WalkerReports.AsideSeen;
import ward.testbed.WalkerReports.MachineCheckSeen;
import ward.testbed.WalkerReports.WasShut;
import ward.testbed.lab.DirectoryTree;
import ward.testing.RequiresKvm;
import ward.vcpu.CpuVendor;
import ward.vcpu.OtherProcessor;
import ward.wire.ControlMessage;

/**
 * A guest that is told at the destination of what it has lost, between two real daemons: what it
 * says it heard against what the destination reports.
 *
 * <p>Its program waits until it has heard of as many errors as there are lost pages, and only then
 * reads its memory, the lost pages included.
 */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(value = 4, unit = TimeUnit.MINUTES)
class AnnouncedGuestScenario {

  private static final ObjectMapper JSON = new ObjectMapper();
  private static final long MEMORY_BYTES = 16 << 20;
  private static final int VCPUS = 2;
  private static final int PAGES_READ = 48;
  private static final int BANK = 9;
  private static final long INTERVAL_MILLIS = 40;

  private final Deadline deadline = new Deadline(Duration.ofMinutes(3));
  private Path directory;
  private FileChannel memory;

  /** What both daemons and the guest left behind. */
  private record Ending(
      WalkerGuest guest, JsonNode source, JsonNode destination, String destinationLog) {

    /** The report's lines about errors of one kind, in order. */
    List<JsonNode> errors(String input) {
      return StreamSupport.stream(status().get("memoryErrors").spliterator(), false)
          .filter(error -> error.get("input").asText().equals(input))
          .toList();
    }

    List<JsonNode> announcements() {
      return errors("ANNOUNCEMENT");
    }

    JsonNode status() {
      return destination.get("status");
    }
  }

  @BeforeEach
  void open() throws IOException {
    // A guest that runs where it has lost pages needs memory on tmpfs.
    directory = Files.createTempDirectory(Path.of("/dev/shm"), "ward-announced-");
    memory =
        FileChannel.open(
            path("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE);
  }

  @AfterEach
  void remove() throws IOException {
    memory.close();
    DirectoryTree.delete(directory);
  }

  private Path path(String name) {
    return directory.resolve(name);
  }

  /** Of this host's processor: no other guest can move once it has run. */
  private static CpuVendor hostVendor() throws IOException {
    return Files.readAllLines(Path.of("/proc/cpuinfo")).stream()
        .filter(line -> line.startsWith("vendor_id"))
        .map(line -> CpuVendor.of(line.substring(line.indexOf(':') + 1).strip()))
        .findFirst()
        .orElseThrow();
  }

  /** In ring 0, where a guest on AMD's processors looks into its banks. */
  private static WalkerGuestBuilder guest(CpuVendor vendor) {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(MEMORY_BYTES, VCPUS, 17).inRing0().reading(PAGES_READ);
    return vendor == CpuVendor.AMD ? builder.lookingForDeferredErrors() : builder;
  }

  /** One that has not run yet may have any processor. */
  private static WalkerGuestBuilder newGuest(CpuVendor vendor) throws IOException {
    return guest(vendor).withCpuid(OtherProcessor.of(vendor, NativeKernel.load()));
  }

  /** An Intel machine check interrupts the other vCPU as well. */
  private static long[] heard(CpuVendor vendor, int errors) {
    return new long[] {errors, vendor == CpuVendor.INTEL ? errors : 0};
  }

  /** Among those that vCPU 0 reads: it is the one that is told. */
  private static List<Long> lostPages(WalkerGuest guest, int count) {
    List<Long> pages = new ArrayList<>();
    for (int i = 0; pages.size() < count; i += 7) {
      long page = guest.orders().get(0)[i];
      if (!guest.imagePages().contains(page)) {
        pages.add(page);
      }
    }
    return pages.stream().sorted().toList();
  }

  private static PageSet setOf(List<Long> pages) {
    PageSet set = new PageSet();
    pages.forEach(set::add);
    return set;
  }

  private static List<String> addresses(WalkerGuest guest, List<Long> pages) {
    return pages.stream().map(page -> "0x%x".formatted(guest.layout().addressOf(page))).toList();
  }

  @Test
  void aGuestThatRanWithItsLossesHearsOfEachAtTheDestinationBeforeItMeetsThemAgain()
      throws IOException {
    CpuVendor vendor = hostVendor();
    WalkerGuest guest = guest(vendor).hearingFirst(1, 1, heard(vendor, 6)).writeTo(memory);
    List<Long> lost = lostPages(guest, 6);

    Ending ending = migrate(guest, lost, true);

    assertEquals(lost.size(), ending.source().get("status").get("machineChecksInjected").asInt());
    WalkerReports before = Witness.reports(List.of(path("source-guest.log")));
    assertThat(before.asides()).filteredOn(aside -> aside.bank() == BANK).isEmpty();
    assertThat(before.machineChecks()).hasSize(lost.size());
    assertHeardThenMet(ending, vendor, lost);
  }

  @ParameterizedTest
  @EnumSource
  void aGuestThatBeginsAtTheDestinationHearsOfEachLossAsItsProcessorTellsIt(CpuVendor vendor)
      throws IOException {
    WalkerGuest guest = newGuest(vendor).hearingFirst(0, 0, heard(vendor, 5)).writeTo(memory);
    List<Long> lost = lostPages(guest, 5);

    assertHeardThenMet(migrate(guest, lost, false), vendor, lost);
  }

  @ParameterizedTest
  @EnumSource
  void aGuestThatIsDeafToMachineChecksIsToldWhenItListensAgain(WalkerGuestBuilder.Shut how)
      throws IOException {
    CpuVendor vendor = CpuVendor.INTEL;
    WalkerGuest guest =
        newGuest(vendor).hearingFirst(0, 0, heard(vendor, 3)).shut(how).writeTo(memory);
    List<Long> lost = lostPages(guest, 3);

    Ending ending = migrate(guest, lost, false);

    assertThat(heardAtDestination().shut())
        .containsExactlyInAnyOrder(new WasShut(0, 0), new WasShut(1, 0));
    assertHeardThenMet(ending, vendor, lost);
  }

  @Test
  void aGuestThatHasLostNothingHearsNothing() throws IOException {
    CpuVendor vendor = hostVendor();
    WalkerGuest guest = guest(vendor).hearingFirst(1, 1, 0, 0).writeTo(memory);

    Ending ending = migrate(guest, List.of(), true);

    assertEquals(0, ending.status().get("announcedPages").asInt());
    assertThat(ending.status().get("memoryErrors")).isEmpty();
    assertThat(ending.destinationLog())
        .contains("no page is lost of which the guest could be told");
    WalkerReports heard = heardAtDestination();
    assertThat(heard.asides()).isEmpty();
    assertThat(heard.machineChecks()).isEmpty();
  }

  private WalkerReports heardAtDestination() throws IOException {
    return Witness.reports(List.of(path("guest.log")));
  }

  private void assertHeardThenMet(Ending ending, CpuVendor vendor, List<Long> lost)
      throws IOException {
    assertAnnouncedOnceEach(ending, vendor, lost);
    assertPaced(ending.announcements());
    assertMetAsBefore(ending, lost);
    assertHeardBeforeMet(lost.size());
  }

  /** The guest's own words against the daemon's. */
  private void assertAnnouncedOnceEach(Ending ending, CpuVendor vendor, List<Long> lost)
      throws IOException {
    List<AsideSeen> heard =
        heardAtDestination().asides().stream().filter(aside -> aside.bank() == BANK).toList();
    List<String> told = ending.announcements().stream().map(e -> e.get("output").asText()).toList();

    assertThat(heard)
        .extracting(seen -> "0x%x".formatted(seen.addr()))
        .containsExactlyElementsOf(addresses(ending.guest(), lost));
    assertThat(heard).allMatch(seen -> seen.vcpu() == 0);
    assertThat(told).hasSameSizeAs(heard);
    for (int i = 0; i < told.size(); i++) {
      assertThat(told.get(i)).startsWith(bankOf(heard.get(i)));
      // A deferred error interrupts nothing, so that the guest's MCG_STATUS stays what it was.
      assertEquals(vendor == CpuVendor.INTEL ? 5 : 0, heard.get(i).mcgStatus());
    }
    assertEquals(lost.size(), ending.status().get("announcedPages").asInt());
    assertThat(ending.announcements())
        .extracting(e -> e.get("guestPhysicalAddress").asText())
        .containsExactlyElementsOf(addresses(ending.guest(), lost));
    assertThat(ending.announcements())
        .allMatch(e -> e.get("severity").asText().equals("ACTION_OPTIONAL"));
  }

  private static String bankOf(AsideSeen seen) {
    return "machine check bank %d status 0x%x addr 0x%x misc 0x%x "
        .formatted(seen.bank(), seen.status(), seen.addr(), seen.misc());
  }

  private static void assertPaced(List<JsonNode> announcements) {
    for (int i = 1; i < announcements.size(); i++) {
      Instant before = Instant.parse(announcements.get(i - 1).get("time").asText());
      Instant after = Instant.parse(announcements.get(i).get("time").asText());
      assertThat(Duration.between(before, after))
          .isGreaterThanOrEqualTo(Duration.ofMillis(INTERVAL_MILLIS));
    }
  }

  /** Having been told changes nothing about what happens when a lost page is read. */
  private void assertMetAsBefore(Ending ending, List<Long> lost) throws IOException {
    WalkerReports reports =
        Witness.reports(
            Stream.of(path("source-guest.log"), path("guest.log")).filter(Files::exists).toList());
    List<MachineCheckSeen> met = heardAtDestination().machineChecks();
    int passes = (int) reports.passes().stream().filter(pass -> pass.vcpu() == 0).count();

    assertThat(reports.unexpected()).isEmpty();
    assertEquals(2, passes);
    assertThat(met).allMatch(Witness::isRight);
    assertThat(reports.machineChecks())
        .hasSize(2 * lost.size())
        .extracting(MachineCheckSeen::pageGpa)
        .hasSameElementsAs(lost.stream().map(ending.guest().layout()::addressOf).toList());
    assertEquals(met.size(), ending.status().get("machineChecksInjected").asInt());
    assertThat(ending.errors("ANNOUNCEMENT").size() + met.size())
        .isEqualTo(
            (int)
                StreamSupport.stream(ending.status().get("memoryErrors").spliterator(), false)
                    .filter(error -> !error.get("input").asText().equals("BROADCAST"))
                    .count());
    for (WalkerReports.PassDone pass : reports.passes()) {
      assertEquals(
          ending.guest().expectedSum(memory, pass.vcpu(), setOf(lost)), pass.sum(), pass::toString);
    }
  }

  /** In the order of what the destination's guest log holds. */
  private void assertHeardBeforeMet(int count) throws IOException {
    WalkerReports reports = new WalkerReports();
    for (String line : Files.readAllLines(path("guest.log"))) {
      Witness.read(line.split(" "), reports);
      if (!reports.machineChecks().isEmpty()) {
        break;
      }
    }
    assertThat(reports.machineChecks()).hasSize(1);
    assertThat(reports.asides()).filteredOn(seen -> seen.bank() == BANK).hasSize(count);
  }

  private Ending migrate(WalkerGuest guest, List<Long> lost, boolean awake) throws IOException {
    LayoutFile.write(path("layout"), guest.layout());
    Files.write(path("vcpus"), guest.vcpuStates());
    declare(addresses(guest, lost));
    try (Daemon source = start("source", sourceCommand(awake))) {
      deadline.watch(() -> requireWell(source));
      deadline.await("the source to listen", () -> sourceStatus() != null);
      deadline.await("every vCPU to have walked at the source", () -> !awake || hasWalked());
      try (Daemon destination = start("destination", destinationCommand())) {
        assertEquals(ExitCode.OK.code(), destination.await(deadline), destination::errors);
        assertEquals(ExitCode.OK.code(), source.await(deadline), source::errors);
        return new Ending(
            guest,
            JSON.readTree(source.output()),
            JSON.readTree(destination.output()),
            destination.errors());
      }
    }
  }

  private static void requireWell(Daemon daemon) throws IOException {
    if (daemon.failure().isPresent()) {
      throw new IOException(daemon.failure().get());
    }
  }

  private Daemon start(String name, List<String> command) throws IOException {
    return Daemon.start(directory, name, List.of(), command);
  }

  private void declare(List<String> addresses) throws IOException {
    if (!addresses.isEmpty()) {
      List<String> command = new ArrayList<>(List.of("ledger", "add", "--layout"));
      command.add(path("layout").toString());
      command.addAll(List.of("--ledger", path("ledger").toString()));
      command.addAll(addresses);
      try (Daemon add = start("ledger-add", command)) {
        assertEquals(ExitCode.OK.code(), add.await(deadline), add::errors);
      }
    }
  }

  private List<String> sourceCommand(boolean awake) {
    List<String> command = new ArrayList<>(List.of("source", "--json", "--listen", "127.0.0.1:0"));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--memory", path("memory").toString()));
    command.addAll(List.of("--layout", path("layout").toString()));
    command.addAll(List.of("--vcpu-state", path("vcpus").toString()));
    command.addAll(List.of("--ledger", path("ledger").toString()));
    command.addAll(List.of("--control", path("source.sock").toString()));
    if (awake) {
      command.addAll(List.of("--run", "--guest-log", path("source-guest.log").toString()));
    }
    return command;
  }

  private List<String> destinationCommand() throws IOException {
    List<String> command = new ArrayList<>(List.of("destination", "--json", "--announce-poison"));
    command.addAll(List.of("--announce-interval", Long.toString(INTERVAL_MILLIS)));
    command.addAll(List.of("--handshake-timeout", Daemon.HANDSHAKE_SECONDS));
    command.addAll(List.of("--connect", "127.0.0.1:" + sourceStatus().get("port").asInt()));
    command.addAll(List.of("--ledger", path("arrived").toString()));
    command.addAll(List.of("--guest-log", path("guest.log").toString()));
    return command;
  }

  private boolean hasWalked() throws IOException {
    return Witness.reports(List.of(path("source-guest.log"))).passes().size() == VCPUS;
  }

  /** Null while nobody answers. */
  private JsonNode sourceStatus() {
    try {
      ControlMessage answer =
          ControlClient.send(path("source.sock"), new ControlMessage.StatusQuery());
      return JSON.readTree(((ControlMessage.Status) answer).json());
    } catch (IOException notYet) {
      return null;
    }
  }
}
