package ward.metrics;

import java.io.PrintStream;
import java.util.concurrent.Executors;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.function.LongSupplier;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarStyle;

/**
 * Shows how many pages are resolved: a bar on a terminal, plain lines elsewhere. Reads a counter a
 * few times a second; nothing on the fault path calls it.
 */
public final class Progress implements AutoCloseable {

  private static final long BAR_PERIOD_MILLIS = 100;
  private static final long LINE_PERIOD_MILLIS = 2000;

  private final ScheduledExecutorService timer =
      Executors.newSingleThreadScheduledExecutor(
          task -> {
            Thread thread = new Thread(task, "ward-progress");
            thread.setDaemon(true);
            return thread;
          });
  private final ProgressBar bar;

  private Progress(ProgressBar bar, Runnable show, long periodMillis) {
    this.bar = bar;
    timer.scheduleAtFixedRate(show, periodMillis, periodMillis, TimeUnit.MILLISECONDS);
  }

  /**
   * @param task what the lines begin with
   * @param total pages in all; 0 while that is not known
   * @param done pages so far
   * @param terminal whether {@code out} is a terminal
   */
  public static Progress show(
      String task, LongSupplier total, LongSupplier done, PrintStream out, boolean terminal) {
    return terminal ? bar(task, total, done) : lines(task, total, done, out);
  }

  private static Progress bar(String task, LongSupplier total, LongSupplier done) {
    ProgressBar bar =
        new ProgressBarBuilder()
            .setTaskName(task)
            .setInitialMax(0)
            .setUnit(" pages", 1)
            .setStyle(ProgressBarStyle.ASCII)
            .build(); // writes to standard error
    Runnable step =
        () -> {
          bar.maxHint(total.getAsLong());
          bar.stepTo(done.getAsLong());
        };
    return new Progress(bar, step, BAR_PERIOD_MILLIS);
  }

  private static Progress lines(
      String task, LongSupplier total, LongSupplier done, PrintStream out) {
    Runnable line =
        () -> {
          long all = total.getAsLong();
          long pages = done.getAsLong();
          if (all > 0) {
            out.printf("%s: %,d of %,d pages (%d %%)%n", task, pages, all, 100 * pages / all);
          }
        };
    return new Progress(null, line, LINE_PERIOD_MILLIS);
  }

  @Override
  public void close() {
    timer.shutdownNow();
    if (bar != null) {
      bar.close();
    }
  }
}
