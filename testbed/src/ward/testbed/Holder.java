package ward.testbed;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.Callable;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import ward.cli.LayoutFile;
import ward.guest.Guest;
import ward.guest.GuestExit;
import ward.kernel.Kernel;
import ward.kernel.LocalSocket;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;
import ward.owner.OwnerChannel;
import ward.owner.proto.Done;
import ward.owner.proto.Exited;
import ward.owner.proto.FromDaemon;
import ward.owner.proto.FromOwner;
import ward.owner.proto.Refusal;
import ward.uffd.EventBatch;
import ward.vcpu.MemoryError;
import ward.vcpu.MemoryErrorEvent;
import ward.vcpu.MemoryErrors;
import ward.vcpu.ThreadGuestFactory;

/**
 * A process that owns a guest's memory and userfaultfd, with native threads for vCPUs, as another
 * VMM would: the smallest owner of {@code proto/owner.proto}. It outlives the daemons that fill its
 * memory.
 *
 * <p>Takes commands on standard input, a line each, and says what happens on standard output:
 *
 * <pre>
 * give-back GPA PAGES     MADV_DONTNEED; "gave back GPA PAGES" when the kernel has done it
 * touch GPA               a thread reads the page; "touched GPA poisoned" or "touched GPA HASH"
 * pace MICROS             how long a thread rests after each page from now on
 * swallow                 reads every event of the userfaultfd and forgets it, as a daemon does that
 *                         dies between reading an event and acting on it
 * </pre>
 *
 * <p>It ends at the end of standard input.
 */
@Command(name = "holder")
final class Holder implements Callable<Integer>, MemoryErrors {

  @Option(names = "--socket", required = true)
  Path socket;

  @Option(names = "--layout", required = true)
  Path layout;

  @Option(names = "--threads", required = true)
  int threads;

  @Option(names = "--seed", required = true)
  long seed;

  @Option(
      names = "--log",
      required = true,
      description = "A line for each page that a thread reads.")
  Path log;

  @Option(
      names = "--pace",
      required = true,
      description = "Microseconds that a thread rests after each page.")
  volatile long paceMicros;

  private final Kernel kernel = NativeKernel.load();
  private PrintWriter touches;
  private Guest guest;
  private HeldMemory memory;
  private boolean hasRun;
  private OwnerChannel attached; // null while no daemon is

  public static void main(String[] arguments) {
    System.exit(new CommandLine(new Holder()).execute(arguments));
  }

  @Override
  public Integer call() throws IOException {
    touches = new PrintWriter(Files.newBufferedWriter(log));
    guest =
        new ThreadGuestFactory(kernel, this, threads, seed, this::onPage)
            .create(LayoutFile.read(layout), new byte[0]);
    memory = new HeldMemory(kernel, guest);
    guest.exited().thenAccept(this::onExit);
    LocalSocket server = LocalSocket.listen(socket);
    daemon("accept", () -> acceptAll(server));
    say("listening");
    obey();
    return 0;
  }

  private interface Task {
    void run() throws IOException;
  }

  private void daemon(String name, Task task) {
    Thread thread =
        new Thread(
            () -> {
              try {
                task.run();
              } catch (IOException | RuntimeException e) {
                say("failed %s: %s", name, e);
              }
            },
            "holder-" + name);
    thread.setDaemon(true);
    thread.start();
  }

  private static void say(String format, Object... values) {
    System.out.println(format.formatted(values));
    System.out.flush();
  }

  private void onPage(int thread, long page, boolean poisoned, long hash) {
    synchronized (this) {
      touches.println("%d %d %s %016x".formatted(thread, page, poisoned, hash));
      touches.flush();
    }
    LockSupport.parkNanos(TimeUnit.MICROSECONDS.toNanos(paceMicros));
  }

  // --- daemons ---------------------------------------------------------------------------------

  private void acceptAll(LocalSocket server) throws IOException {
    while (true) {
      OwnerChannel channel = new OwnerChannel(server.accept());
      daemon("daemon", () -> serve(channel));
    }
  }

  private void serve(OwnerChannel channel) throws IOException {
    try (channel) {
      boolean served = false;
      for (Optional<byte[]> next = channel.next(); next.isPresent(); next = channel.next()) {
        FromDaemon message = FromDaemon.parseFrom(next.get());
        served |= message.hasAttach() && attach(channel);
        if (served) {
          answer(channel, message);
        } else {
          refuse(channel, "another daemon is attached; end it first");
        }
      }
    } finally {
      detach(channel);
    }
  }

  private synchronized boolean attach(OwnerChannel channel) {
    if (attached != null) {
      return false;
    }
    attached = channel;
    say("attached");
    return true;
  }

  private synchronized void detach(OwnerChannel channel) {
    if (attached == channel) {
      attached = null;
      say("detached");
    }
  }

  private void answer(OwnerChannel channel, FromDaemon message) throws IOException {
    switch (message.getMessageCase()) {
      case ATTACH -> describe(channel);
      case ARRIVE -> done(channel);
      case RESUME -> {
        hasRun = true;
        guest.resume();
        say("resumed");
        done(channel);
      }
      case PAUSE -> {
        guest.pause();
        say("paused");
        done(channel);
      }
      case REFUSAL -> say("refused: %s", message.getRefusal().getReason());
      case FAREWELL ->
          say(
              "farewell %s: %s",
              message.getFarewell().getComplete(), message.getFarewell().getReason());
      case MESSAGE_NOT_SET -> refuse(channel, "a message of no kind that is known here");
    }
  }

  private void describe(OwnerChannel channel) throws IOException {
    channel.send(
        FromOwner.newBuilder().setMemory(memory.description(hasRun)).build(),
        memory.userfaultfd().shared());
    if (guest.exited().toCompletableFuture().isDone()) {
      channel.send(exited(guest.exited().toCompletableFuture().join()));
    }
  }

  private static void done(OwnerChannel channel) throws IOException {
    channel.send(FromOwner.newBuilder().setDone(Done.getDefaultInstance()).build());
  }

  private static void refuse(OwnerChannel channel, String reason) throws IOException {
    channel.send(FromOwner.newBuilder().setRefusal(Refusal.newBuilder().setReason(reason)).build());
  }

  private void onExit(GuestExit exit) {
    say("exited %s", exit.kind());
    OwnerChannel now;
    synchronized (this) {
      now = attached;
    }
    try {
      if (now != null) {
        now.send(exited(exit));
      }
    } catch (IOException e) {
      say("nobody heard of the exit: %s", e.getMessage());
    }
  }

  private static FromOwner exited(GuestExit exit) {
    Exited.Kind kind =
        exit.kind() == GuestExit.Kind.POWERED_OFF ? Exited.Kind.POWERED_OFF : Exited.Kind.FAILED;
    return FromOwner.newBuilder()
        .setExited(Exited.newBuilder().setKind(kind).setReason(exit.reason()))
        .build();
  }

  // --- commands ----------------------------------------------------------------------------------

  private void obey() throws IOException {
    BufferedReader commands =
        new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
    for (String line = commands.readLine(); line != null; line = commands.readLine()) {
      String[] words = line.split(" ");
      switch (words[0]) {
        case "give-back" ->
            daemon(line, () -> giveBack(Long.decode(words[1]), Long.parseLong(words[2])));
        case "touch" -> daemon(line, () -> touch(Long.decode(words[1])));
        case "pace" -> paceMicros = Long.parseLong(words[1]);
        case "swallow" -> swallow();
        default -> throw new IOException("no command: " + line);
      }
    }
  }

  private void giveBack(long address, long pages) throws IOException {
    memory.giveBack(address, pages);
    say("gave back 0x%x %d", address, pages);
  }

  private void swallow() throws IOException {
    EventBatch batch = new EventBatch(1);
    int removals = 0;
    while (memory.userfaultfd().readEvents(batch) > 0) {
      removals += batch.type(0) == EventBatch.Event.REMOVE ? 1 : 0;
    }
    say("swallowed %d removals", removals);
  }

  private void touch(long address) throws IOException {
    NativeMemory hash = NativeMemory.allocate(Long.BYTES);
    hash.putLong(0, address);
    int result =
        kernel.fold(memory.hostAddress(address, 1), Pages.SIZE_BYTES, hash, new SignalInfo());
    say("touched 0x%x %s", address, result == 0 ? "%016x".formatted(hash.getLong(0)) : "poisoned");
  }

  // --- what the threads meet, which is in the log already
  // ------------------------------------------

  @Override
  public boolean isKnown(long guestPhysicalAddress) {
    return false;
  }

  @Override
  public void consumed(MemoryError error) {}

  @Override
  public void injected(MemoryErrorEvent event) {}
}
