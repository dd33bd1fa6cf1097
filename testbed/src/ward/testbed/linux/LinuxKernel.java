package ward.testbed.linux;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Map;
import ward.kernel.Kernel;
import ward.memory.GuestRegion;

/** A kernel as distributions ship it; its file says what kind of machine it is for. */
sealed interface LinuxKernel permits BzImage, Arm64Image {

  /**
   * @throws IOException if the file is no kernel that can be started here
   */
  static LinuxKernel read(Path path) throws IOException {
    byte[] file = Files.readAllBytes(path);
    return Arm64Image.isOne(file) ? Arm64Image.of(path, file) : BzImage.of(path, file);
  }

  /** The guest's RAM, in one piece. */
  GuestRegion ram(long memoryBytes);

  /** How much RAM the kernel needs before it knows what RAM there is. */
  long bytesToBeginWith();

  /** Sections of a vCPU's state that give it the processor of this host, as a guest may have it. */
  Map<String, byte[]> processorOf(Kernel host) throws IOException;

  /**
   * @param commandLine what does not depend on the kind of machine
   * @param polled whether the guest has an error source that it polls
   */
  LinuxBoot boot(GuestRegion ram, byte[] initialFiles, String commandLine, boolean polled);
}
