package ward.owner;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.nio.file.Path;
import java.util.Optional;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestExit;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.LocalSocket;
import ward.owner.proto.Arrive;
import ward.owner.proto.Attach;
import ward.owner.proto.Exited;
import ward.owner.proto.Farewell;
import ward.owner.proto.FromDaemon;
import ward.owner.proto.FromOwner;
import ward.owner.proto.Pause;
import ward.owner.proto.Refusal;
import ward.owner.proto.Resume;

/**
 * The daemon's end of the conversation with a process that owns a guest's memory and vCPUs.
 *
 * <p>Questions wait for their answer and are asked one after the other, from any thread. {@link
 * #gone()} tells of an owner that has left, which takes the guest with it.
 */
public final class OwnerConnection implements AutoCloseable {

  private static final Logger log = LoggerFactory.getLogger(OwnerConnection.class);
  private static final int ANSWER_SECONDS = 60;

  private final OwnerChannel channel;
  private final CompletableFuture<GuestExit> exited = new CompletableFuture<>();
  private final CompletableFuture<String> gone = new CompletableFuture<>();
  private final Thread reader = new Thread(this::read, "ward-owner");
  private final OwnedMemory memory;
  private final Fd userfaultfd;
  private volatile CompletableFuture<FromOwner> answer = new CompletableFuture<>();
  private volatile boolean closing;

  /** Connects to an owner and takes what it hands over. */
  public static OwnerConnection attach(Path socket, String host) throws OwnerException {
    OwnerChannel channel;
    try {
      channel = new OwnerChannel(LocalSocket.connect(socket));
    } catch (KernelCallException e) {
      throw new OwnerException(
          "no memory owner at %s: %s; it has to listen before this daemon starts"
              .formatted(socket, e.getMessage()),
          e);
    }
    try {
      return new OwnerConnection(channel, host);
    } catch (IOException | RuntimeException e) {
      channel.close();
      throw new OwnerException("memory owner at %s: %s".formatted(socket, e.getMessage()), e);
    }
  }

  private OwnerConnection(OwnerChannel channel, String host) throws IOException {
    this.channel = channel;
    channel.send(
        FromDaemon.newBuilder()
            .setAttach(Attach.newBuilder().setVersion(OwnedMemory.VERSION).setHost(host))
            .build());
    FromOwner first = nextMessage().orElseThrow(() -> new OwnerException("it left without a word"));
    if (!first.hasMemory()) {
      throw unexpected("Attach", first);
    }
    memory = OwnedMemory.of(first.getMemory(), channel.peerProcess());
    userfaultfd =
        channel
            .takeDescriptor()
            .orElseThrow(
                () ->
                    new OwnerException(
                        "the memory owner, process %d, sent no userfaultfd along with Memory (SCM_RIGHTS)"
                            .formatted(memory.process())));
    reader.setDaemon(true);
    reader.start();
  }

  private Optional<FromOwner> nextMessage() throws IOException {
    Optional<byte[]> bytes = channel.next();
    try {
      return bytes.isEmpty() ? Optional.empty() : Optional.of(FromOwner.parseFrom(bytes.get()));
    } catch (InvalidProtocolBufferException e) {
      throw new OwnerException("what it sent is no message: " + e.getMessage(), e);
    }
  }

  private static OwnerException unexpected(String question, FromOwner answered) {
    return answered.hasRefusal()
        ? new OwnerException(
            "it refused %s: %s".formatted(question, answered.getRefusal().getReason()))
        : new OwnerException(
            "it answered %s by %s, which is no answer to that"
                .formatted(question, answered.getMessageCase()));
  }

  public OwnedMemory memory() {
    return memory;
  }

  /** This process's copy of the descriptor; whoever takes it closes it. */
  public Fd userfaultfd() {
    return userfaultfd;
  }

  /** Completes when the guest has ended, also by the owner's end. */
  public CompletionStage<GuestExit> exited() {
    return exited;
  }

  /** Completes with a sentence when the owner has left before {@link #close()}. */
  public CompletionStage<String> gone() {
    return gone;
  }

  // --- what is asked and told ------------------------------------------------------------------

  /** The guest is on its way; see {@code Arrive} in the protocol. */
  void arrive(byte[] vcpuStates) throws OwnerException {
    Arrive arrive = Arrive.newBuilder().setVcpuStates(ByteString.copyFrom(vcpuStates)).build();
    ask("Arrive", FromDaemon.newBuilder().setArrive(arrive).build());
  }

  void resume() throws OwnerException {
    ask("Resume", FromDaemon.newBuilder().setResume(Resume.getDefaultInstance()).build());
  }

  void pause() throws OwnerException {
    ask("Pause", FromDaemon.newBuilder().setPause(Pause.getDefaultInstance()).build());
  }

  /** Says why this daemon cannot use the memory. Nothing is thrown if nobody hears it. */
  public void refuse(String reason) {
    tell(FromDaemon.newBuilder().setRefusal(Refusal.newBuilder().setReason(reason)).build());
  }

  /**
   * Says why this daemon leaves. Nothing is thrown if nobody hears it.
   *
   * @param complete whether every page is in place or marked
   */
  public void farewell(boolean complete, String reason) {
    Farewell farewell = Farewell.newBuilder().setComplete(complete).setReason(reason).build();
    tell(FromDaemon.newBuilder().setFarewell(farewell).build());
  }

  private void tell(FromDaemon message) {
    try {
      channel.send(message);
    } catch (IOException e) {
      log.debug("{}", e.getMessage());
    }
  }

  private synchronized void ask(String name, FromDaemon question) throws OwnerException {
    if (gone.isDone()) {
      throw new OwnerException(gone.join());
    }
    try {
      channel.send(question);
      FromOwner answered = answer.get(ANSWER_SECONDS, TimeUnit.SECONDS);
      if (!answered.hasDone()) {
        throw unexpected(name, answered);
      }
    } catch (TimeoutException e) {
      throw new OwnerException(
          "the memory owner, process %d, has not answered %s for %d s"
              .formatted(memory.process(), name, ANSWER_SECONDS));
    } catch (ExecutionException | KernelCallException e) {
      throw new OwnerException("%s: %s".formatted(name, e.getMessage()), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new OwnerException("interrupted while waiting for the answer to " + name, e);
    } finally {
      answer = new CompletableFuture<>();
    }
  }

  // --- what is heard ---------------------------------------------------------------------------

  private void read() {
    String end = "it closed the connection";
    try {
      for (Optional<FromOwner> next = nextMessage(); next.isPresent(); next = nextMessage()) {
        heard(next.get());
      }
    } catch (IOException | RuntimeException e) {
      end = e.getMessage();
    }
    if (!closing) {
      lost("the memory owner, process %d, is gone: %s".formatted(memory.process(), end));
    }
  }

  private void heard(FromOwner message) {
    if (message.hasExited()) {
      exited.complete(exit(message.getExited()));
    } else {
      answer.complete(message);
    }
  }

  private static GuestExit exit(Exited message) {
    GuestExit.Kind kind =
        switch (message.getKind()) {
          case POWERED_OFF -> GuestExit.Kind.POWERED_OFF;
          case SHUT_DOWN -> GuestExit.Kind.SHUTDOWN;
          case FAILED, KIND_UNSPECIFIED, UNRECOGNIZED -> GuestExit.Kind.FAILED;
        };
    return new GuestExit(kind, message.getReason());
  }

  private void lost(String text) {
    gone.complete(text);
    answer.completeExceptionally(new OwnerException(text));
    exited.complete(new GuestExit(GuestExit.Kind.FAILED, text));
  }

  /** Leaves the owner, its memory and its vCPUs as they are. */
  @Override
  public void close() {
    closing = true;
    channel.end();
    try {
      reader.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      return; // the reader may still use the socket
    }
    channel.close();
  }
}
