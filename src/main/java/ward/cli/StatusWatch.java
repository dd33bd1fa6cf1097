package ward.cli;

import java.io.PrintWriter;
import java.time.Duration;
import java.util.List;
import java.util.function.Supplier;

/** Looks at a daemon again and again until its migration has ended. */
final class StatusWatch {

  /** How what is seen is shown. */
  enum Form {
    /** The whole text in the same place of a terminal: ECMA-48 cursor control. */
    SCREEN,
    /** One line, when it is another than the one before. */
    LINE,
    /** The daemon's answer, when it is another than the one before. */
    JSON
  }

  private static final String UP_AND_CLEAR = "\u001b[%dA\u001b[J";

  private final Supplier<String> status;
  private final PrintWriter out;
  private final Form form;
  private String last = "";
  private int drawn;

  /**
   * @param status asks the daemon; fails with a {@link CommandFailure} when there is none
   */
  StatusWatch(Supplier<String> status, PrintWriter out, Form form) {
    this.status = status;
    this.out = out;
    this.form = form;
  }

  /**
   * @throws CommandFailure if the daemon is not there, or ends before it has said how
   */
  void untilEnd(Duration interval) throws InterruptedException {
    String seen = status.get();
    show(seen);
    while (!StatusText.isLast(seen)) {
      Thread.sleep(interval.toMillis(), interval.toNanosPart() % 1_000_000);
      seen = next(seen);
      show(seen);
    }
  }

  private String next(String before) {
    try {
      return status.get();
    } catch (CommandFailure gone) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED,
          "the daemon does not answer any more, its last phase was %s: its own exit code and log say how it ended (%s)"
              .formatted(StatusText.phase(before), gone.getMessage()));
    }
  }

  private void show(String json) {
    switch (form) {
      case SCREEN -> draw(StatusText.lines(json));
      case LINE -> printIfNew(StatusText.line(json));
      case JSON -> printIfNew(json);
    }
    out.flush();
  }

  private void draw(List<String> lines) {
    if (drawn > 0) {
      out.printf(UP_AND_CLEAR, drawn);
    }
    lines.forEach(out::println);
    drawn = lines.size();
  }

  private void printIfNew(String line) {
    if (!line.equals(last)) {
      out.println(line);
      last = line;
    }
  }
}
