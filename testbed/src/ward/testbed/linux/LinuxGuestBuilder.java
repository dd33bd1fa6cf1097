package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.kernel.Kernel;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.vcpu.VcpuState;
import ward.vcpu.VcpuStates;

/**
 * Puts a Linux kernel for x86-64 or arm64, whichever it is, into a guest's memory, with an
 * initramfs and one vCPU. There is no firmware and no PCI; the console is the first serial port.
 */
public final class LinuxGuestBuilder {

  /**
   * What each word is for: the console; few lines on it, since each byte costs an exit; the program
   * to run; no waiting after a panic; no mitigations, which are slow where everything is emulated;
   * no more serial ports.
   */
  private static final String COMMAND_LINE =
      "console=ttyS0 quiet rdinit=/init panic=-1 mitigations=off 8250.nr_uarts=1";

  private static final long MIB = 1 << 20;

  private final LinuxKernel kernel;
  private final GuestLayout layout;
  private final GuestRegion ram;
  private final byte[] initramfs;
  private final Map<String, byte[]> processor = new HashMap<>();
  private String commandLine = COMMAND_LINE;
  private boolean polled;

  /**
   * @param name of the guest
   * @param memoryBytes a multiple of 2 MiB, at most 3 GiB
   * @param kernel a bzImage or an arm64 Image
   * @throws IOException if the kernel is none, or its file system has not been built
   */
  public LinuxGuestBuilder(String name, long memoryBytes, Path kernel) throws IOException {
    if (memoryBytes <= 0 || memoryBytes % (2 * MIB) != 0 || memoryBytes > 3072 * MIB) {
      throw new IllegalArgumentException(
          "memoryBytes %d; a multiple of 2 MiB up to 3 GiB is allowed".formatted(memoryBytes));
    }
    this.kernel = LinuxKernel.read(kernel);
    this.ram = this.kernel.ram(memoryBytes);
    this.layout = new GuestLayout(name, List.of(ram));
    this.initramfs = FirstProgram.initramfs();
    requireRoom();
  }

  private void requireRoom() throws IOException {
    long needed = kernel.bytesToBeginWith() + initramfs.length;
    if (needed > ram.lengthBytes()) {
      throw new IOException(
          "the kernel needs %d MiB to begin with; the guest has %d MiB"
              .formatted(needed / MIB + 1, ram.lengthBytes() / MIB));
    }
  }

  /** Adds words to the kernel's command line. */
  public LinuxGuestBuilder with(String words) {
    commandLine = commandLine + " " + words;
    return this;
  }

  /**
   * Gives the guest the processor of this host for good, as far as a guest may have it; without it
   * the guest has that of the host which runs it first.
   *
   * @throws IOException if this host has no KVM for such guests
   */
  public LinuxGuestBuilder processorOf(Kernel host) throws IOException {
    processor.putAll(kernel.processorOf(host));
    return this;
  }

  /**
   * Gives the guest an error source that its kernel polls: it can hear of a loss before anything
   * meets it.
   */
  public LinuxGuestBuilder pollingForErrors() {
    polled = true;
    return this;
  }

  /** The layout that the guest will have: RAM without holes. */
  public GuestLayout layout() {
    return layout;
  }

  /**
   * Writes the guest's memory; what is not written stays a hole of the file.
   *
   * @param memoryFile empty, open for writing
   */
  public LinuxGuest writeTo(FileChannel memoryFile) throws IOException {
    LinuxBoot boot = kernel.boot(ram, initramfs, commandLine, polled);
    write(memoryFile, ram.lengthBytes() - 1, new byte[1]);
    for (Piece piece : boot.pieces()) {
      write(memoryFile, piece.address() - ram.guestPhysicalAddress(), piece.bytes());
    }
    return new LinuxGuest(layout, states(boot).toBytes());
  }

  private static void write(FileChannel file, long offset, byte[] content) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(content);
    while (bytes.hasRemaining()) {
      file.write(bytes, offset + bytes.position());
    }
  }

  private VcpuStates states(LinuxBoot boot) {
    Map<String, byte[]> sections = new HashMap<>(processor);
    sections.putAll(boot.vcpu());
    return new VcpuStates(boot.architecture(), boot.machine(), List.of(new VcpuState(0, sections)));
  }
}
