package ward.owner;

import java.io.IOException;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CopyOnWriteArrayList;
import ward.kernel.Fd;
import ward.kernel.LocalSocket;
import ward.kernel.NativeKernel;
import ward.owner.proto.Done;
import ward.owner.proto.FromDaemon;
import ward.owner.proto.FromOwner;

/** The other end, in the test's hands: it answers as it is told, and remembers what it heard. */
final class FakeOwner implements AutoCloseable {

  private final LocalSocket server;
  private final Fd descriptor;
  private final List<FromDaemon> heard = new CopyOnWriteArrayList<>();
  private volatile OwnerChannel channel;
  private volatile FromOwner answer =
      FromOwner.newBuilder().setDone(Done.getDefaultInstance()).build();

  /**
   * @param first answers Attach
   * @param withDescriptor whether a descriptor goes along
   */
  FakeOwner(Path socket, FromOwner first, boolean withDescriptor) throws IOException {
    server = LocalSocket.listen(socket);
    descriptor = NativeKernel.load().createMemfd("stands-for-userfaultfd", 4096);
    Thread thread = new Thread(() -> serve(first, withDescriptor), "fake-owner");
    thread.setDaemon(true);
    thread.start();
  }

  private void serve(FromOwner first, boolean withDescriptor) {
    try (OwnerChannel connection = new OwnerChannel(server.accept())) {
      channel = connection;
      heard.add(FromDaemon.parseFrom(connection.next().orElseThrow()));
      if (withDescriptor) {
        connection.send(first, descriptor);
      } else {
        connection.send(first);
      }
      for (Optional<byte[]> next = connection.next(); next.isPresent(); next = connection.next()) {
        FromDaemon message = FromDaemon.parseFrom(next.get());
        heard.add(message);
        if (!message.hasRefusal() && !message.hasFarewell()) {
          connection.send(answer);
        }
      }
    } catch (IOException | IllegalStateException e) {
      // the test has seen enough
    }
  }

  /** What follows Attach is answered by this. */
  void answer(FromOwner message) {
    answer = message;
  }

  void say(FromOwner message) throws IOException {
    channel.send(message);
  }

  /** Ends the connection, as a process does that dies. */
  void leave() {
    channel.end();
  }

  List<FromDaemon> heard() {
    return heard;
  }

  @Override
  public void close() {
    server.end();
    descriptor.close();
  }
}
