package ward.testbed.lab;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/** One machine of a run, from its start to its result. Closing it ends it. */
final class MachineRun implements AutoCloseable {

  /** The machine ended without a result, or the kernel panicked. */
  static final int MACHINE_LOST = 125;

  /** As timeout(1) has it. */
  static final int DEADLINE_PASSED = 124;

  private static final Duration TO_NOTICE = Duration.ofSeconds(60);

  /** What a machine is started from. */
  record Boot(Emulator emulator, Path kernel, Path initramfs) {}

  private final LabSettings settings;
  private final Consumer<String> progress;
  private final DebuggerSocket debugger;
  private final Machine machine;
  private final SeaForger forger;
  private final long startNanos = System.nanoTime();

  /**
   * Starts it.
   *
   * @param host its number, from 1; 0 if it has no network
   * @param devices QEMU's options for them
   * @param log keeps the console
   * @param console hears every line that is for people
   */
  MachineRun(
      LabSettings settings,
      Boot boot,
      int host,
      List<String> devices,
      Path log,
      Consumer<String> progress,
      Consumer<String> console)
      throws IOException {
    this.settings = settings;
    this.progress = progress;
    debugger = DebuggerSocket.create();
    machine = Machine.start(boot.emulator().with(options(boot, host, devices)));
    forger = new SeaForger(debugger.path(), machine.input(), progress);
    machine.listen(log, line -> hear(line, console));
  }

  private void hear(String line, Consumer<String> console) {
    forger.hear(line);
    if (!line.startsWith("@WARD-")) {
      console.accept(line);
    }
  }

  private List<String> options(Boot boot, int host, List<String> devices) {
    List<String> options =
        new ArrayList<>(
            List.of(
                "-cpu",
                settings.cpu(),
                "-m",
                Integer.toString(settings.memoryMebibytes()),
                "-smp",
                Integer.toString(settings.processors()),
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
                "-serial",
                "stdio",
                "-kernel",
                boot.kernel().toString(),
                "-initrd",
                boot.initramfs().toString(),
                "-append",
                // The kernel puts what it does not know into the environment of /init.
                "%s rdinit=/init panic=-1 quiet%s"
                    .formatted(
                        settings.architecture().kernelOptions(),
                        host == 0 ? "" : " WARD_HOST=" + host)));
    options.addAll(debugger.options());
    options.addAll(devices);
    return options;
  }

  /** Waits for its end. */
  LabResult await() throws IOException {
    Machine.End end = machine.await(settings.deadline());
    Console said = machine.console();
    if (end != Machine.End.POWERED_OFF) {
      progress.accept("%s; the console's last lines:%n%s".formatted(end, said.tail()));
    }
    JsonNode json = new ObjectMapper().readTree(said.result());
    return new LabResult(
        settings.architecture().machineName(),
        settings.kernel().label(),
        said.kernel().orElse(""),
        settings.cpu(),
        said.upSeconds(),
        (System.nanoTime() - startNanos) / 1e9,
        end,
        exitCode(end, said),
        json.get("tests"),
        json.get("run"));
  }

  /** Waits for all of them; when one failed, the others do not wait for it long. */
  static List<LabResult> awaitAll(List<MachineRun> machines) throws IOException {
    List<CompletableFuture<LabResult>> results =
        machines.stream()
            .map(machine -> CompletableFuture.supplyAsync(() -> machine.awaitOr(machines)))
            .toList();
    try {
      return results.stream().map(CompletableFuture::join).toList();
    } catch (CompletionException e) {
      throw new IOException(e.getCause());
    }
  }

  private LabResult awaitOr(List<MachineRun> others) {
    try {
      LabResult result = await();
      if (result.exitCode() != 0) {
        // Perhaps they notice by themselves that they wait for nobody.
        CompletableFuture.delayedExecutor(TO_NOTICE.toSeconds(), TimeUnit.SECONDS)
            .execute(() -> others.forEach(other -> other.machine.kill()));
      }
      return result;
    } catch (IOException e) {
      throw new UncheckedIOException(e);
    }
  }

  private static int exitCode(Machine.End end, Console said) {
    return switch (end) {
      case POWERED_OFF -> said.exitCode().orElse(MACHINE_LOST);
      case DEADLINE -> DEADLINE_PASSED;
      case PANICKED, DIED -> MACHINE_LOST;
    };
  }

  @Override
  public void close() throws IOException {
    forger.close();
    machine.close();
    debugger.close();
  }
}
