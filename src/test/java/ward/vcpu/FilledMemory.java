package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.kernel.NativeMemory;
import ward.memory.GuestLayout;
import ward.memory.Pages;
import ward.testbed.WalkerGuest;
import ward.testbed.WalkerGuestBuilder;

/** The memory of a guest, with what it needs to run, and no userfaultfd behind it. */
final class FilledMemory implements AutoCloseable {

  /** Where memory comes from. */
  interface Mapping {
    GuestMemory map(Kernel kernel, GuestLayout layout) throws IOException;
  }

  private final Kernel kernel;
  private final GuestMemory memory;
  private final byte[] vcpuStates;

  FilledMemory(Kernel kernel, WalkerGuestBuilder builder, Path directory, Mapping mapping)
      throws IOException {
    this.kernel = kernel;
    try (FileChannel file =
        FileChannel.open(
            directory.resolve("memory"),
            StandardOpenOption.CREATE,
            StandardOpenOption.READ,
            StandardOpenOption.WRITE)) {
      WalkerGuest walker = builder.writeTo(file);
      vcpuStates = walker.vcpuStates();
      memory = mapping.map(kernel, walker.layout());
      // They lie at the beginning, all in one region.
      fill(file, (int) Pages.bytes(walker.imagePages().size()));
    }
  }

  private void fill(FileChannel file, int bytes) throws IOException {
    ByteBuffer content = ByteBuffer.allocate(bytes);
    assertThat(file.read(content, 0)).isEqualTo(bytes);
    NativeMemory source = NativeMemory.allocate(bytes);
    source.putBytes(0, content.array());
    assertThat(kernel.copy(memory.hostAddressOf(0), source.address(), bytes)).isEqualTo(bytes);
  }

  GuestMemory memory() {
    return memory;
  }

  /** As a source would send them. */
  byte[] vcpuStates() {
    return vcpuStates;
  }

  @Override
  public void close() {
    for (int i = 0; i < memory.layout().regions().size(); i++) {
      kernel.unmap(memory.hostAddressOfRegion(i), memory.layout().regions().get(i).lengthBytes());
    }
  }
}
