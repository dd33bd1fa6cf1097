package ward.testbed;

import java.io.IOException;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import picocli.CommandLine;
import ward.cli.Main;

/** A {@code ward} command that is no daemon, in this process: it has nothing to lose with it. */
final class Order {

  private final StringWriter out = new StringWriter();
  private final StringWriter err = new StringWriter();
  private final CompletableFuture<Integer> code;

  private Order(List<String> words) {
    CommandLine line = Main.commandLine();
    line.setOut(new PrintWriter(out, true));
    line.setErr(new PrintWriter(err, true));
    code = CompletableFuture.supplyAsync(() -> line.execute(words.toArray(String[]::new)));
  }

  /** Begins it, on a thread of its own. */
  static Order give(List<String> words) {
    return new Order(words);
  }

  /** Waits for the end; the exit code. */
  int await(Deadline deadline) throws IOException {
    try {
      return code.get(deadline.millisLeft(), TimeUnit.MILLISECONDS);
    } catch (TimeoutException | ExecutionException e) {
      throw new IOException("the command did not end: " + output() + errors(), e);
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
  }

  /** Standard output so far. */
  String output() {
    return out.toString();
  }

  /** Standard error so far. */
  String errors() {
    return err.toString();
  }
}
