package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.TimeUnit;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.condition.EnabledOnOs;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;
import ward.testing.MemoryFailure;
import ward.testing.RequiresKvm;
import ward.vcpu.Probe.Access;

/** Memory of which KVM itself says that it is lost, and where: KVM_EXIT_MEMORY_FAULT. */
@RequiresKvm
@EnabledOnOs(architectures = "amd64", disabledReason = "the guest is x86-64 code")
@Timeout(240)
class GuestMemfdKvmTest {

  private static final long MIB = 1 << 20;
  private static final long PAGE = 2000;
  private static final long PAGE_GPA = PAGE << 12;

  @TempDir private Path directory;

  private final GuestMemfdKernel host = new GuestMemfdKernel(NativeKernel.load());
  private final RecordedErrors errors = new RecordedErrors();
  private final Probe probe = new Probe();

  @AfterEach
  void letTheVmGo() {
    host.close();
  }

  @BeforeAll
  static void requireMemoryFailure() {
    MemoryFailure.require();
  }

  @ParameterizedTest(name = "ring {0}, {1}")
  @CsvSource({"3, LOAD", "3, STORE", "0, LOAD", "0, FETCH"})
  void aLossThatKvmNamesByItselfIsAMachineCheckOnTheAccess(int ring, Access access)
      throws Exception {
    WalkerGuestBuilder builder =
        new WalkerGuestBuilder(16 * MIB, 1, 16).running("probe", access.number, PAGE_GPA);
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest walker = (ring == 0 ? builder.inRing0() : builder).writeTo(file);
      try (Guest guest = guest(walker)) {
        fill(walker, file);
        lose(host.hostAddressOf(PAGE_GPA));

        guest.resume();
        GuestExit exit = guest.exited().toCompletableFuture().get(120, TimeUnit.SECONDS);

        assertThat(exit.kind()).as(exit.reason()).isEqualTo(GuestExit.Kind.POWERED_OFF);
      }
    }
    assertThat(probe.report().isMachineCheck()).isTrue();
    assertThat(probe.report().ripOffset()).isZero();
    assertThat(probe.report().addr()).isEqualTo(PAGE_GPA);
    assertThat(errors.consumed())
        .filteredOn(error -> error.input() != MemoryError.Input.SIGBUS_ACTION_OPTIONAL)
        .extracting(MemoryError::input, MemoryError::place, MemoryError::lsb)
        .containsExactly(
            tuple(MemoryError.Input.MEMORY_FAULT_EXIT, "GPA 0x%x".formatted(PAGE_GPA), 12));
  }

  /** The kernel answers EBUSY, since KVM keeps the page in the file; lost it is all the same. */
  private void lose(long address) {
    try {
      MemoryFailure.loseThePageAt(address);
    } catch (IOException e) {
      assertThat(e).hasMessageContaining("busy");
    }
    assertThat(host.kernel().advise(address, Pages.SIZE_BYTES, Linux.MADV_POPULATE_READ))
        .isEqualTo(-Errno.EHWPOISON.intValue());
  }

  private Guest guest(WalkerGuest walker) throws IOException {
    try {
      return new KvmGuestFactory(host.kernel(), errors, probe)
          .create(walker.layout(), walker.vcpuStates());
    } catch (IOException e) {
      host.refusal().ifPresent(Assumptions::abort);
      throw e;
    }
  }

  private void fill(WalkerGuest walker, FileChannel file) throws IOException {
    PageSet pages = walker.imagePages().copy();
    pages.add(PAGE);
    ByteBuffer content = ByteBuffer.allocateDirect(Pages.SIZE_BYTES);
    for (long page = 0; page < walker.layout().pageCount(); page++) {
      if (pages.contains(page)) {
        content.clear();
        while (content.hasRemaining()
            && file.read(content, walker.fileOffsetOf(page) + content.position()) >= 0) {
          // a read may be short
        }
        host.write(walker.layout().addressOf(page), NativeMemory.of(content));
      }
    }
  }
}
