package ward.testbed.linux;

import java.io.BufferedReader;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ward.memory.GuestRegion;
import ward.testbed.lab.LabParts;

/**
 * QEMU's machine {@code virt}, emulated without KVM, whose RAM is a file: whoever maps that file
 * shared sees and changes the guest's memory. No firmware; a few instructions in RAM enter the
 * kernel.
 */
public final class EmulatedArm64 implements AutoCloseable {

  /** Where this machine has its RAM. */
  public static final long RAM_ADDRESS = 0x4000_0000L;

  private static final long ENTRY = 0x24_0000;

  private final Process process;
  private final List<String> console = new ArrayList<>();
  private boolean ended;

  /**
   * Starts the machine.
   *
   * @param ramFile is made, as large as the RAM
   */
  public EmulatedArm64(
      LabParts.Machines machines, Path ramFile, GuestRegion ram, int cpus, Arm64LinuxBoot boot)
      throws IOException {
    write(ramFile, ram, boot);
    process = machines.with(options(ramFile, ram, cpus)).redirectErrorStream(true).start();
    process.getOutputStream().close();
    Thread reader = new Thread(this::read, "console");
    reader.setDaemon(true);
    reader.start();
  }

  private static void write(Path ramFile, GuestRegion ram, Arm64LinuxBoot boot) throws IOException {
    try (FileChannel file =
        FileChannel.open(ramFile, StandardOpenOption.CREATE_NEW, StandardOpenOption.WRITE)) {
      file.write(ByteBuffer.allocate(1), ram.lengthBytes() - 1);
      for (Piece piece : boot.pieces()) {
        file.write(ByteBuffer.wrap(piece.bytes()), piece.address() - ram.guestPhysicalAddress());
      }
      file.write(entryCode(boot), ENTRY);
    }
  }

  private static ByteBuffer entryCode(Arm64LinuxBoot boot) {
    ByteBuffer code = ByteBuffer.allocate(64).order(ByteOrder.LITTLE_ENDIAN);
    code.putInt(0x580000c0); // ldr x0, .+24
    code.putInt(0x580000e4); // ldr x4, .+28
    code.putInt(0xaa1f03e1).putInt(0xaa1f03e2).putInt(0xaa1f03e3); // mov x1, x2, x3, xzr
    code.putInt(0xd61f0080); // br x4
    return code.putLong(boot.deviceTree()).putLong(boot.entry()).flip();
  }

  private static List<String> options(Path ramFile, GuestRegion ram, int cpus) {
    String memory =
        "memory-backend-file,id=ram,share=on,size=%d,mem-path=%s"
            .formatted(ram.lengthBytes(), ramFile);
    List<String> options = new ArrayList<>(List.of("-accel", "tcg", "-cpu", "neoverse-n1"));
    options.addAll(List.of("-M", "virt,virtualization=off,gic-version=3,memory-backend=ram"));
    options.addAll(List.of("-smp", String.valueOf(cpus), "-m", (ram.lengthBytes() >> 20) + "M"));
    options.addAll(List.of("-object", memory, "-nodefaults", "-nographic", "-serial", "stdio"));
    options.addAll(List.of("-no-reboot", "-device"));
    options.add("loader,addr=0x%x,cpu-num=0".formatted(RAM_ADDRESS + ENTRY));
    return options;
  }

  private void read() {
    try (BufferedReader lines = process.inputReader(StandardCharsets.UTF_8)) {
      for (String line = lines.readLine(); line != null; line = lines.readLine()) {
        add(line);
      }
    } catch (IOException e) {
      add("console: " + e.getMessage());
    }
    end();
  }

  private synchronized void add(String line) {
    console.add(line);
    notifyAll();
  }

  private synchronized void end() {
    ended = true;
    notifyAll();
  }

  /**
   * Waits for a line of the console.
   *
   * @param pattern of a part of the line
   * @return the first match
   * @throws IOException with the whole console, if the line has not come in time or never can
   */
  public Matcher await(String pattern, Duration patience) throws IOException, InterruptedException {
    return await(pattern, 1, patience).get(0);
  }

  /** As {@link #await(String, Duration)}, for that many lines; the first matches, in order. */
  public synchronized List<Matcher> await(String pattern, int count, Duration patience)
      throws IOException, InterruptedException {
    long deadline = System.nanoTime() + patience.toNanos();
    List<Matcher> matches = matches(pattern);
    while (matches.size() < count) {
      long leftMillis = (deadline - System.nanoTime()) / 1_000_000;
      if (ended || leftMillis <= 0) {
        throw new IOException(
            "%d of %d lines \"%s\" %s; the console:%n%s"
                .formatted(
                    matches.size(),
                    count,
                    pattern,
                    ended ? "before the machine ended" : "within " + patience,
                    String.join(System.lineSeparator(), console)));
      }
      wait(leftMillis);
      matches = matches(pattern);
    }
    return matches.subList(0, count);
  }

  private List<Matcher> matches(String pattern) {
    Pattern wanted = Pattern.compile(pattern);
    return console.stream().map(wanted::matcher).filter(Matcher::find).toList();
  }

  /** Every line so far. */
  public synchronized List<String> console() {
    return List.copyOf(console);
  }

  @Override
  public void close() {
    process.destroyForcibly();
  }
}
