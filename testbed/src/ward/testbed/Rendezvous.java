package ward.testbed;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.NoRouteToHostException;
import java.net.ServerSocket;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;

/** A connection between the two halves of a test, beside Ward's own: one JSON object a line. */
final class Rendezvous implements AutoCloseable {

  private static final int PORT = 7079;
  private static final int READ_MILLIS = 300_000;

  private final ObjectMapper json = new ObjectMapper();
  private final Socket socket;
  private final BufferedReader lines;

  private Rendezvous(Socket socket) throws IOException {
    this.socket = socket;
    socket.setSoTimeout(READ_MILLIS);
    lines =
        new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
  }

  /** The half that is called. */
  record Host(ServerSocket socket) implements AutoCloseable {

    Rendezvous accept(Deadline deadline) throws IOException {
      socket.setSoTimeout((int) Math.max(1, deadline.millisLeft()));
      try {
        return new Rendezvous(socket.accept());
      } catch (SocketTimeoutException e) {
        throw new IOException("the other host did not come", e);
      }
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }

  static Host listen(String address) throws IOException {
    return new Host(new ServerSocket(PORT, 1, InetAddress.getByName(address)));
  }

  /** Calls until someone answers. */
  static Rendezvous connect(String address, Deadline deadline) throws IOException {
    Rendezvous[] connected = new Rendezvous[1];
    deadline.await(
        "the other host",
        () -> {
          try {
            connected[0] = new Rendezvous(new Socket(address, PORT));
          } catch (ConnectException | NoRouteToHostException notUpYet) {
            return false;
          }
          return true;
        });
    return connected[0];
  }

  void send(Object message) throws IOException {
    socket
        .getOutputStream()
        .write((json.writeValueAsString(message) + "\n").getBytes(StandardCharsets.UTF_8));
  }

  <T> T receive(Class<T> type) throws IOException {
    String line = lines.readLine();
    if (line == null) {
      throw new IOException("the other host hung up before it sent its " + type.getSimpleName());
    }
    return json.readValue(line, type);
  }

  @Override
  public void close() throws IOException {
    socket.close();
  }
}
