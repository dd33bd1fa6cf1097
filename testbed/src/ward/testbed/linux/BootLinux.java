package ward.testbed.linux;

import java.io.IOException;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.concurrent.TimeUnit;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.uffd.Userfaultfd;
import ward.vcpu.Console;
import ward.vcpu.KvmGuestFactory;
import ward.vcpu.MemoryError;
import ward.vcpu.MemoryErrorEvent;
import ward.vcpu.MemoryErrors;

/**
 * Boots a Linux guest on this host, without any migration, takes one page away from it while it
 * runs, and shows what becomes of it: the smallest way to see whether a kernel boots, and recovers.
 *
 * <pre>
 * java -cp ward.jar:test-classes ward.testbed.linux.BootLinux VMLINUZ [MEMORY_MIB [WORDS...]]
 * </pre>
 */
public final class BootLinux {

  private static final Duration PATIENCE = Duration.ofMinutes(4);
  private static final Pattern VICTIM = Pattern.compile("VICTIM page 0x([0-9a-f]+) .*");

  private final Kernel kernel = NativeKernel.load();
  private final ConsoleLines lines = new ConsoleLines(System.out);
  private final Console console = new Console(lines);

  private BootLinux() {}

  public static void main(String[] arguments) throws Exception {
    long memoryBytes = (arguments.length > 1 ? Long.parseLong(arguments[1]) : 128) << 20;
    LinuxGuestBuilder builder = new LinuxGuestBuilder("linux", memoryBytes, Path.of(arguments[0]));
    for (int i = 2; i < arguments.length; i++) {
      builder.with(arguments[i]);
    }
    GuestExit exit = new BootLinux().run(builder);
    System.out.println(exit);
    System.exit(exit.kind() == GuestExit.Kind.POWERED_OFF ? 0 : 1);
  }

  private GuestExit run(LinuxGuestBuilder builder) throws Exception {
    builder.processorOf(kernel);
    Path file = Files.createTempFile("ward-linux-", ".memory");
    try (FileChannel memory = FileChannel.open(file, StandardOpenOption.WRITE);
        Userfaultfd userfaultfd = Userfaultfd.open(kernel)) {
      LinuxGuest image = builder.writeTo(memory);
      KvmGuestFactory factory =
          new KvmGuestFactory(kernel, new Spoken(), (vcpu, word) -> {}, console);
      try (Guest guest = factory.create(image.layout(), image.vcpuStates())) {
        fill(guest, file);
        guest.resume();
        loseVictimsPage(guest, userfaultfd);
        return guest.exited().toCompletableFuture().get(PATIENCE.toSeconds(), TimeUnit.SECONDS);
      }
    } finally {
      Files.delete(file);
    }
  }

  private void fill(Guest guest, Path file) throws IOException {
    GuestRegion region = guest.memory().layout().regions().get(0);
    try (Fd fd = kernel.open(file.toString(), Linux.O_RDONLY)) {
      long from = kernel.mapShared(fd, 0, region.lengthBytes(), Linux.PROT_READ);
      long copied = kernel.copy(guest.memory().hostAddressOfRegion(0), from, region.lengthBytes());
      kernel.unmap(from, region.lengthBytes());
      if (copied != region.lengthBytes()) {
        throw new IOException("only %d bytes of the image were copied".formatted(copied));
      }
    }
  }

  private void loseVictimsPage(Guest guest, Userfaultfd userfaultfd) throws Exception {
    Matcher victim = VICTIM.matcher(said("VICTIM page"));
    victim.matches();
    long page = guest.memory().layout().pageAt(Long.parseLong(victim.group(1), 16)).orElseThrow();
    long address = guest.memory().hostAddressOf(page);
    // Nobody touches the page in between; the other way round madvise(2) would wait for a reader.
    kernel.advise(address, Pages.SIZE_BYTES, Linux.MADV_DONTNEED);
    userfaultfd.register(address, Pages.SIZE_BYTES);
    System.out.println(userfaultfd.poison(address, Pages.SIZE_BYTES));
    said("ALIVE 3");
    type("touch");
    said("MEMINFO");
    said("ALIVE 8");
    type("off");
  }

  private String said(String beginning) throws IOException {
    return lines.await(beginning, PATIENCE, line -> line.startsWith(beginning));
  }

  private void type(String line) throws IOException {
    console.type((line + "\n").getBytes(StandardCharsets.US_ASCII));
  }

  /** There is no ledger here: what is lost is said, and forgotten. */
  private static final class Spoken implements MemoryErrors {

    @Override
    public boolean isKnown(long guestPhysicalAddress) {
      return false;
    }

    @Override
    public void consumed(MemoryError error) {
      System.out.println("consumed " + error);
    }

    @Override
    public void injected(MemoryErrorEvent event) {
      System.out.println("injected " + event);
    }
  }
}
