package ward.testbed.lab;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.function.Consumer;

/** One machine of a run, from its start to its result. Closing it ends it. */
final class MachineRun implements AutoCloseable {

  /** The machine ended without a result, or the kernel panicked. */
  static final int MACHINE_LOST = 125;

  /** As timeout(1) has it. */
  static final int DEADLINE_PASSED = 124;

  /** What a machine is started from. */
  record Boot(Emulator emulator, Path kernel, Path initramfs, List<String> devices) {}

  private final LabSettings settings;
  private final Consumer<String> progress;
  private final DebuggerSocket debugger;
  private final Machine machine;
  private final SeaForger forger;
  private final long startNanos = System.nanoTime();

  /**
   * Starts it.
   *
   * @param log keeps the console
   * @param console hears every line that is for people
   */
  MachineRun(
      LabSettings settings,
      Boot boot,
      Path log,
      Consumer<String> progress,
      Consumer<String> console)
      throws IOException {
    this.settings = settings;
    this.progress = progress;
    debugger = DebuggerSocket.create();
    machine = Machine.start(boot.emulator().with(options(boot)));
    forger = new SeaForger(debugger.path(), machine.input(), progress);
    machine.listen(log, line -> hear(line, console));
  }

  private void hear(String line, Consumer<String> console) {
    forger.hear(line);
    if (!line.startsWith("@WARD-")) {
      console.accept(line);
    }
  }

  private List<String> options(Boot boot) {
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
                "-nographic",
                "-no-reboot",
                "-serial",
                "stdio",
                "-kernel",
                boot.kernel().toString(),
                "-initrd",
                boot.initramfs().toString(),
                "-append",
                "console=%s rdinit=/init panic=-1 quiet"
                    .formatted(settings.architecture().console())));
    options.addAll(debugger.options());
    options.addAll(boot.devices());
    return options;
  }

  /** Waits for its end. */
  LabResult await() throws IOException {
    Machine.End end = machine.await(settings.deadline());
    Console said = machine.console();
    if (end != Machine.End.POWERED_OFF) {
      progress.accept("%s; the console's last lines:%n%s".formatted(end, said.tail()));
    }
    return new LabResult(
        settings.architecture().machineName(),
        settings.kernel().label(),
        said.kernel().orElse(""),
        settings.cpu(),
        said.upSeconds(),
        (System.nanoTime() - startNanos) / 1e9,
        end,
        exitCode(end, said),
        new ObjectMapper().readTree(said.result()));
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
