package ward.testbed;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.BitSet;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;
import ward.memory.GuestLayout;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.vcpu.VcpuState;
import ward.vcpu.VcpuStates;

class WalkerGuestBuilderTest {

  private static final long MIB = 1 << 20;
  private static final byte[] ZEROS = new byte[Pages.SIZE_BYTES];

  @TempDir private Path directory;

  private WalkerGuest write(WalkerGuestBuilder builder, String name) throws IOException {
    try (FileChannel file =
        FileChannel.open(
            directory.resolve(name),
            StandardOpenOption.CREATE_NEW,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      return builder.writeTo(file);
    }
  }

  private byte[] page(String name, long offset) throws IOException {
    ByteBuffer bytes = ByteBuffer.allocate(Pages.SIZE_BYTES);
    try (FileChannel file = FileChannel.open(directory.resolve(name))) {
      while (bytes.hasRemaining() && file.read(bytes, offset + bytes.position()) >= 0) {
        // a read may be short
      }
    }
    return bytes.array();
  }

  @Test
  void theSameArgumentsMakeTheSameGuest() throws Exception {
    WalkerGuest one = write(new WalkerGuestBuilder(16 * MIB, 2, 42), "one");
    WalkerGuest other = write(new WalkerGuestBuilder(16 * MIB, 2, 42), "other");

    assertThat(Files.mismatch(directory.resolve("one"), directory.resolve("other"))).isEqualTo(-1);
    assertThat(other.vcpuStates()).isEqualTo(one.vcpuStates());
    assertThat(other.layout()).isEqualTo(one.layout());
    assertThat(other.orders().toArray(long[][]::new))
        .isDeepEqualTo(one.orders().toArray(long[][]::new));
  }

  @Test
  void anotherSeedMakesAnotherGuest() throws Exception {
    WalkerGuest one = write(new WalkerGuestBuilder(16 * MIB, 1, 42), "one");
    WalkerGuest other = write(new WalkerGuestBuilder(16 * MIB, 1, 43), "other");

    assertThat(Files.mismatch(directory.resolve("one"), directory.resolve("other")))
        .isNotNegative();
    assertThat(other.orders().get(0)).isNotEqualTo(one.orders().get(0));
  }

  @Test
  void theFileIsAsLongAsTheLayoutSays() throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(24 * MIB, 1, 1), "memory");

    assertThat(Files.size(directory.resolve("memory"))).isEqualTo(guest.layout().fileBytes());
    assertThat(guest.layout().pageCount()).isEqualTo(24 * MIB / Pages.SIZE_BYTES);
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 64})
  void everyPageIsReadByExactlyOneVcpu(int vcpus) throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, vcpus, 3), "memory");

    BitSet read = new BitSet();
    for (long[] order : guest.orders()) {
      for (long page : order) {
        assertThat(read.get((int) page)).as("page %d was read before", page).isFalse();
        read.set((int) page);
      }
    }

    assertThat(guest.orders()).hasSize(vcpus);
    assertThat(read.cardinality()).isEqualTo((int) guest.layout().pageCount());
    assertThat(read.length()).isEqualTo((int) guest.layout().pageCount());
  }

  @ParameterizedTest
  @ValueSource(ints = {1, 2, 3, 64})
  void eachStackIsReadByTheVcpuThatWritesIt(int vcpus) throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, vcpus, 5), "memory");

    assertThat(guest.stackPages().size()).isEqualTo(vcpus);
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      assertThat(guest.orders().get(vcpu)).contains(X86WalkerImage.stackPage(vcpu));
      assertThat(guest.stackPages().contains(X86WalkerImage.stackPage(vcpu))).isTrue();
    }
  }

  @Test
  void theImageLiesAtTheBeginningAndHoldsEveryStack() throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, 4, 6), "memory");

    PageSet stacksOutside = guest.stackPages().copy();
    stacksOutside.removeAll(guest.imagePages());

    assertThat(stacksOutside.isEmpty()).isTrue();
    assertThat(guest.imagePages().contains(0)).isFalse();
    assertThat(guest.imagePages().contains(1)).isTrue();
    assertThat(guest.imagePages().contains(guest.layout().pageCount() / 2)).isFalse();
  }

  @ParameterizedTest
  @CsvSource({"1, PML4", "2, PDPT", "3, GDT", "4, IDT", "6, code", "7, parameters", "8, TSS"})
  void noPageThatTheGuestNeedsIsAHole(long page, String content) throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, 1, 7), "memory");

    assertThat(guest.imagePages().contains(page)).as(content).isTrue();
    assertThat(page("memory", guest.fileOffsetOf(page))).as(content).isNotEqualTo(ZEROS);
  }

  @Test
  void aboutOnePageInFourIsAHole() throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, 1, 8), "memory");

    long holes = 0;
    for (long page = 0; page < guest.layout().pageCount(); page++) {
      boolean empty = java.util.Arrays.equals(page("memory", guest.fileOffsetOf(page)), ZEROS);
      holes += empty ? 1 : 0;
    }

    assertThat(holes).isBetween(guest.layout().pageCount() / 5, guest.layout().pageCount() / 3);
  }

  @Test
  void theVcpusAreWhatTheVcpuCoreReads() throws Exception {
    WalkerGuest guest = write(new WalkerGuestBuilder(16 * MIB, 3, 9), "memory");

    assertThat(VcpuStates.parse(guest.vcpuStates()).vcpus())
        .extracting(VcpuState::index)
        .containsExactly(0, 1, 2);
  }

  @Test
  void aQuarterOfTheMemoryIsAbove4GiB() {
    GuestLayout layout = new WalkerGuestBuilder(16 * MIB, 1, 1).layout();

    assertThat(layout.regions()).hasSize(2);
    assertThat(layout.regions().get(0).lengthBytes()).isEqualTo(12 * MIB);
    assertThat(layout.regions().get(1).guestPhysicalAddress()).isEqualTo(4L << 30);
    assertThat(layout.regions().get(1).lengthBytes()).isEqualTo(4 * MIB);
  }

  @Test
  void theLowMemoryOfALargeGuestEndsBeforeTheDevices() {
    GuestLayout layout = new WalkerGuestBuilder(16L << 30, 1, 1).layout();

    assertThat(layout.regions().get(0).lengthBytes()).isEqualTo(3L << 30);
    assertThat(layout.regions().get(1).lengthBytes()).isEqualTo(13L << 30);
  }

  @ParameterizedTest
  @ValueSource(longs = {0, 8 * MIB, 17 * MIB, 16 * MIB + 1, (256L << 30) + 8 * MIB, -16 * MIB})
  void aSizeThatTheGuestCannotHaveIsRefused(long memoryBytes) {
    assertThatThrownBy(() -> new WalkerGuestBuilder(memoryBytes, 1, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage(
            "memoryBytes %d; a multiple of 8 MiB from 16 MiB to 256 GiB is allowed"
                .formatted(memoryBytes));
  }

  @ParameterizedTest
  @ValueSource(ints = {-1, 0, 65})
  void aNumberOfVcpusThatTheGuestCannotHaveIsRefused(int vcpus) {
    assertThatThrownBy(() -> new WalkerGuestBuilder(16 * MIB, vcpus, 1))
        .isInstanceOf(IllegalArgumentException.class)
        .hasMessage("%d vCPUs; 1 to 64 are allowed".formatted(vcpus));
  }
}
