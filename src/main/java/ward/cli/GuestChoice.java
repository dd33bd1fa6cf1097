package ward.cli;

import java.nio.file.Path;
import ward.guest.GuestFactory;
import ward.guest.MemoryKind;
import ward.kernel.Kernel;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.vcpu.Console;
import ward.vcpu.KvmGuestFactory;
import ward.vcpu.ThreadGuestFactory;

/**
 * What will touch the guest's memory, decided before anything is connected.
 *
 * @param name {@code kvm} or {@code thread}
 * @param description in words, for the log: above all whether a guest runs
 */
record GuestChoice(String name, String description, GuestFactory factory) {

  /**
   * Threads in place of vCPUs.
   *
   * @param seed of their order
   * @param plan of {@link ward.vcpu.TouchPlan}; null: every word of every page, twice
   */
  record Threads(int count, long seed, Path plan) {}

  static GuestChoice of(
      VcpuKind kind,
      MemoryKind memory,
      Kernel kernel,
      GuestBooks books,
      GuestLog log,
      Console console,
      Threads threads) {
    if (threads.plan() != null && kind != VcpuKind.THREAD) {
      throw new CommandFailure(
          ExitCode.USAGE, "--touch-plan %s without --vcpu thread".formatted(threads.plan()));
    }
    return switch (kind) {
      case KVM -> kvm(memory, kernel, books, log, console);
      case THREAD -> threads("as --vcpu thread asks", memory, kernel, books, log, threads);
      case AUTO -> {
        String refusal = kvmRefusal(kernel);
        yield refusal == null
            ? kvm(memory, kernel, books, log, console)
            : threads("because " + refusal, memory, kernel, books, log, threads);
      }
    };
  }

  private static GuestChoice kvm(
      MemoryKind memory, Kernel kernel, GuestBooks books, GuestLog log, Console console) {
    String refusal = kvmRefusal(kernel);
    if (refusal != null) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED,
          refusal + "; load the kvm module, give this user the device, or use --vcpu thread");
    }
    return new GuestChoice(
        "kvm",
        "the guest runs under KVM",
        new KvmGuestFactory(kernel, books, log, console).withMemory(memory));
  }

  private static GuestChoice threads(
      String why,
      MemoryKind memory,
      Kernel kernel,
      GuestBooks books,
      GuestLog log,
      Threads threads) {
    if (threads.count() < 1) {
      throw new CommandFailure(
          ExitCode.USAGE, "--threads %d; at least 1 is needed".formatted(threads.count()));
    }
    return new GuestChoice(
        "thread",
        "NO GUEST RUNS, %s: %d native threads touch its memory and take the SIGBUS"
            .formatted(why, threads.count()),
        factory(kernel, books, log, threads).withMemory(memory));
  }

  private static ThreadGuestFactory factory(
      Kernel kernel, GuestBooks books, GuestLog log, Threads threads) {
    return threads.plan() != null
        ? ThreadGuestFactory.planned(kernel, books, threads.count(), threads.plan())
        : new ThreadGuestFactory(
            kernel,
            books,
            threads.count(),
            threads.seed(),
            (thread, page, poisoned, hash) ->
                log.line("%d %d %s %016x".formatted(thread, page, poisoned, hash)));
  }

  /** Null if /dev/kvm opens. */
  private static String kvmRefusal(Kernel kernel) {
    try {
      kernel.open("/dev/kvm", Linux.O_RDWR).close();
      return null;
    } catch (KernelCallException e) {
      return e.getMessage();
    }
  }
}
