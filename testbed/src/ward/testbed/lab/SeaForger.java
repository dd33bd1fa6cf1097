package ward.testbed.lab;

import java.io.IOException;
import java.io.OutputStream;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.time.Duration;
import java.util.OptionalInt;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.function.Consumer;

/**
 * Answers {@link SeaRequest} from outside: stops the machine where its KVM begins to handle a
 * guest's abort, finds the saved syndrome by the fault address beside it, and rewrites it.
 */
final class SeaForger implements AutoCloseable {

  /** Its first argument is the vCPU. */
  static final String FUNCTION = "kvm_handle_guest_abort";

  /** AArch64 in QEMU's order: x0 to x30, sp, pc. */
  private static final int FIRST_ARGUMENT = 0;

  /** What of {@code struct kvm_vcpu} is searched. */
  private static final int SEARCHED_BYTES = 16384;

  private static final Duration GLANCE = Duration.ofMillis(100);

  private final Path socket;
  private final OutputStream input;
  private final Consumer<String> progress;
  private final BlockingQueue<SeaRequest> requests = new LinkedBlockingQueue<>();
  private final Thread thread = new Thread(this::run, "lab-sea");
  private volatile long function;
  private GdbStub stub;

  /**
   * @param socket of the debugger interface
   * @param input what the machine reads on its console
   */
  SeaForger(Path socket, OutputStream input, Consumer<String> progress) {
    this.socket = socket;
    this.input = input;
    this.progress = progress;
    thread.setDaemon(true);
    thread.start();
  }

  /** Takes a line of the console, whatever it is. */
  void hear(String line) {
    if (line.startsWith(SeaRequest.SYMBOL_LINE)) {
      function =
          Long.parseUnsignedLong(line.substring(SeaRequest.SYMBOL_LINE.length()).strip(), 16);
    } else if (line.startsWith(SeaRequest.LINE)) {
      requests.add(SeaRequest.parse(line));
    }
  }

  private void run() {
    try {
      while (true) {
        serve(requests.take());
      }
    } catch (InterruptedException | IOException e) {
      // The machine has ended; whoever waits inside does so no longer.
      if (e instanceof IOException) {
        progress.accept("no more external aborts: " + e.getMessage());
      }
    }
  }

  private void serve(SeaRequest request) throws IOException {
    if (stub == null) {
      stub = GdbStub.connect(socket);
    } else {
      stub.interrupt();
    }
    stub.setBreakpoint(function);
    stub.resume();
    answer(SeaRequest.ARMED);
    await(request);
  }

  private void answer(String line) throws IOException {
    input.write((line + "\n").getBytes(StandardCharsets.US_ASCII));
    input.flush();
  }

  /** Until the abort came, or another is wanted. */
  private void await(SeaRequest request) throws IOException {
    while (!stub.awaitStop(GLANCE)) {
      if (!requests.isEmpty()) {
        stub.interrupt();
        stub.removeBreakpoint(function);
        progress.accept("no abort came for " + request);
        stub.resume();
        return;
      }
    }
    stub.removeBreakpoint(function);
    if (forge(request)) {
      stub.resume();
    } else {
      stub.step();
      stub.setBreakpoint(function);
      stub.resume();
      await(request);
    }
  }

  private boolean forge(SeaRequest request) throws IOException {
    long vcpu = stub.register(FIRST_ARGUMENT);
    ByteBuffer memory = stub.memory(vcpu, SEARCHED_BYTES);
    OptionalInt found = SavedFault.find(memory, request.guestVirtualAddress());
    if (found.isEmpty()) {
      progress.accept("an abort elsewhere, let pass");
      return false;
    }
    int offset = found.getAsInt();
    long syndrome = memory.getLong(offset);
    long forged = SavedFault.forged(syndrome, request);
    stub.write(vcpu + offset, forged);
    if (!request.physicalAddressKnown()) {
      stub.write(vcpu + offset + SavedFault.HPFAR_OFFSET, 0);
    }
    progress.accept(
        "forged: abort at 0x%x, syndrome 0x%x made 0x%x"
            .formatted(request.guestVirtualAddress(), syndrome, forged));
    return true;
  }

  @Override
  public void close() throws IOException {
    thread.interrupt();
  }
}
