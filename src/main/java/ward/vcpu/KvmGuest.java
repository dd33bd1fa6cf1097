package ward.vcpu;

import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.memory.PageSet;
import ward.memory.Pages;

/** A guest whose vCPUs KVM runs, each in a thread named {@code vcpu-N}. */
final class KvmGuest implements Guest, VcpuListener {

  /** A vCPU that a signal can bring out is out within microseconds. */
  private static final long PAUSE_MILLIS_MAX = 2_000;

  private static final Logger LOG = LoggerFactory.getLogger(KvmGuest.class);

  /** For what a vCPU's thread does once it is out. */
  private static final long END_MILLIS_MAX = 10_000;

  private static final long KICK_INTERVAL_MILLIS = 2;

  private final MappedMemory mapped;
  private final KvmVm vm;
  private final Architecture architecture;
  private final Machine machine;
  private final DeviceBus devices;
  private final List<KvmVcpu> vcpus;
  private final List<VcpuLoop> loops = new ArrayList<>();
  private final List<Thread> threads = new ArrayList<>();
  private final CompletableFuture<GuestExit> exited = new CompletableFuture<>();
  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(task -> daemon(task, "vcpu-timer"));
  private final Set<Integer> ended = ConcurrentHashMap.newKeySet();
  private final Object broadcasts = new Object();
  private MemoryErrors errors;
  private CopyDevice copyDevice;
  private int moves;
  private int running;
  private boolean closed;

  KvmGuest(
      MappedMemory mapped,
      KvmVm vm,
      Architecture architecture,
      Machine machine,
      DeviceBus devices,
      List<KvmVcpu> vcpus) {
    this.mapped = mapped;
    this.vm = vm;
    this.architecture = architecture;
    this.machine = machine;
    this.devices = devices;
    this.vcpus = List.copyOf(vcpus);
    this.running = vcpus.size();
  }

  void start(Kernel kernel, List<Processor> processors, VcpuStates states, MemoryErrors errors)
      throws IOException {
    this.errors = errors;
    copyDevice = new CopyDevice(kernel, memory(), errors, this::fail);
    attachCopyDevice(states.machine().get(CopyDevice.SECTION));
    moves = states.moves();
    for (KvmVcpu vcpu : vcpus) {
      Processor processor = processors.get(vcpu.index());
      VcpuLoop loop = new VcpuLoop(kernel, vcpu, processor, memory(), errors, devices, timer, this);
      loop.inherit(states.vcpus().get(vcpu.index()));
      loops.add(loop);
      threads.add(daemon(loop, "vcpu-" + vcpu.index()));
    }
    threads.forEach(Thread::start);
  }

  /**
   * @param saved null for a device that is new
   */
  private void attachCopyDevice(byte[] saved) throws IOException {
    devices.attachPorts(CopyDevice.PORT, copyDevice);
    if (saved != null) {
      copyDevice.restore(saved);
    }
    if (architecture.machineFormat().has(CopyDevice.SECTION)) {
      devices.travelsWith(CopyDevice.SECTION, copyDevice::state);
    }
  }

  private static Thread daemon(Runnable task, String name) {
    Thread thread = new Thread(task, name);
    thread.setDaemon(true);
    return thread;
  }

  @Override
  public GuestMemory memory() {
    return mapped.memory();
  }

  @Override
  public void resume() {
    loops.forEach(loop -> loop.gate().resume());
  }

  /**
   * {@inheritDoc}
   *
   * <p>A vCPU for which KVM itself copies from user memory (page tables and accesses that it
   * emulates) cannot be brought out of a wait for a missing page: the kernel does not interrupt its
   * own copy. It is left there with the kick pending, and comes out of KVM_RUN before it runs
   * another instruction of the guest.
   *
   * @throws IllegalStateException on a vCPU's own thread, which would wait for itself
   */
  @Override
  public void pause() {
    requireOtherThread();
    loops.forEach(loop -> loop.gate().forbid());
    long deadline = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(PAUSE_MILLIS_MAX);
    long waiting =
        loops.stream().filter(loop -> !loop.gate().awaitOutsideUntil(deadline, loop::kick)).count();
    if (waiting > 0) {
      LOG.info(
          "{} of {} vCPUs wait for a page inside the kernel, and stop when it comes",
          waiting,
          loops.size());
    }
    if (!copyDevice.settle(PAUSE_MILLIS_MAX)) {
      LOG.info("the copying device waits for a page, and writes it after the pause has begun");
    }
  }

  private void requireOtherThread() {
    if (threads.contains(Thread.currentThread())) {
      throw new IllegalStateException(
          "%s cannot wait for itself; pause and close the guest on another thread"
              .formatted(Thread.currentThread().getName()));
    }
  }

  @Override
  public byte[] save() throws IOException {
    requireOtherThread();
    requireStandstill();
    List<VcpuState> states = new ArrayList<>();
    for (VcpuLoop loop : loops) {
      states.add(loop.save());
    }
    Map<String, byte[]> around = new HashMap<>(machine.save());
    around.putAll(devices.save());
    return new VcpuStates(architecture.name(), around, states, moves + 1).toBytes();
  }

  private void requireStandstill() throws IOException {
    long moving = loops.stream().filter(loop -> !loop.gate().isOutside()).count();
    if (moving > 0) {
      throw new IOException(
          "%d of %d vCPUs do not stand still; a guest is saved while it is paused and no vCPU waits for a page"
              .formatted(moving, loops.size()));
    }
    if (copyDevice.isBusy()) {
      throw new IOException(
          "the copying device waits for a page; a guest is saved when it has settled");
    }
  }

  @Override
  public CompletionStage<GuestExit> exited() {
    return exited;
  }

  @Override
  public void announce(PageSet frames, Duration interval) {
    PageSet inRam = new PageSet();
    frames.forEach(
        frame -> {
          if (memory().layout().pageAt(Pages.bytes(frame)).isPresent()) {
            inRam.add(frame);
          }
        });
    new Announcer(timer, loops, vcpu -> !ended.contains(vcpu), errors, interval).start(inRam);
  }

  @Override
  public void raiseSError(int vcpu, int syndrome) throws IOException {
    if (!architecture.hasSErrors()) {
      Guest.super.raiseSError(vcpu, syndrome); // which refuses it
    }
    if (vcpu >= loops.size() || ended.contains(vcpu)) {
      throw new IOException(
          vcpu >= loops.size()
              ? "vCPU %d: this guest has vCPUs 0 to %d".formatted(vcpu, loops.size() - 1)
              : "vCPU %d is switched off".formatted(vcpu));
    }
    loops.get(vcpu).raiseSError(syndrome);
  }

  private void fail(String reason) {
    loops.forEach(loop -> loop.gate().end());
    loops.forEach(VcpuLoop::kick);
    complete(new GuestExit(GuestExit.Kind.FAILED, reason));
  }

  /**
   * {@inheritDoc}
   *
   * <p>A vCPU that met an error of its own before it took another one's interrupt is in its handler
   * anyway. The interrupt would come when it has left it, and find no error anywhere, for which
   * Linux panics ("Fatal machine check from unknown source", {@code mce_reign}); so the one stands
   * for the other, and no third vCPU is interrupted twice.
   */
  @Override
  public void onBroadcast(int vcpu) {
    synchronized (broadcasts) {
      if (!loops.get(vcpu).dropBroadcast()) {
        interruptAllBut(vcpu);
      }
    }
  }

  private void interruptAllBut(int vcpu) {
    for (KvmVcpu other : vcpus) {
      if (other.index() != vcpu) {
        loops.get(other.index()).hearBroadcast();
      }
    }
  }

  @Override
  public synchronized void onEnd(int vcpu, Optional<GuestExit> exit) {
    running--;
    ended.add(vcpu);
    if (exit.isPresent()) {
      loops.forEach(loop -> loop.gate().end());
      loops.forEach(VcpuLoop::kick);
      complete(exit.get());
    } else if (running == 0) {
      complete(new GuestExit(GuestExit.Kind.POWERED_OFF, "every vCPU switched itself off"));
    }
  }

  /** On another thread: whoever hears of it may close the guest, which waits for this one. */
  private void complete(GuestExit exit) {
    exited.completeAsync(() -> exit);
  }

  /**
   * {@inheritDoc}
   *
   * @throws IllegalStateException on a vCPU's own thread, which would wait for itself
   */
  @Override
  public void close() {
    requireOtherThread();
    synchronized (this) {
      if (closed) {
        return;
      }
      closed = true;
    }
    loops.forEach(loop -> loop.gate().end());
    boolean threadsEnded = awaitThreads();
    boolean stopped = copyDevice.stop(PAUSE_MILLIS_MAX) && threadsEnded;
    timer.shutdownNow();
    if (stopped) {
      vcpus.forEach(KvmVcpu::close);
      machine.close();
      vm.close();
      mapped.close();
    } else {
      LOG.error(
          "a vCPU or a device still waits for a page; its memory stays mapped until the process"
              + " ends");
    }
  }

  /** Kicks again and again: a vCPU may enter KVM_RUN just after a kick was taken. */
  private boolean awaitThreads() {
    long start = System.nanoTime();
    boolean interrupted = false;
    while (mayEndWithin(System.nanoTime() - start)) {
      loops.forEach(VcpuLoop::kick);
      try {
        Thread.sleep(KICK_INTERVAL_MILLIS);
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
    return threads.stream().noneMatch(Thread::isAlive);
  }

  /** One that kicks do not bring out of KVM_RUN waits for a page that nobody sends any more. */
  private boolean mayEndWithin(long nanos) {
    return IntStream.range(0, threads.size())
        .filter(i -> threads.get(i).isAlive())
        .mapToLong(i -> loops.get(i).gate().isOutside() ? END_MILLIS_MAX : PAUSE_MILLIS_MAX)
        .anyMatch(millis -> nanos < TimeUnit.MILLISECONDS.toNanos(millis));
  }

  @Override
  public String toString() {
    return "KVM guest " + memory().layout().guest();
  }
}
