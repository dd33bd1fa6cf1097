package ward.source;

import java.util.List;
import java.util.concurrent.CompletableFuture;
import ward.memory.PageSet;
import ward.poison.PoisonEntry;

/** A loss reported by a control command, until the destination has answered for all of it. */
public final class PoisonReport {

  /**
   * What became of a report, in guest frame numbers.
   *
   * @param poisoned lost for the guest
   * @param held copied to the destination before the loss: the guest has its content
   * @param alreadyKnown in the ledger before the report
   */
  public record Result(PageSet poisoned, PageSet held, PageSet alreadyKnown) {}

  private final PageSet open;
  private final Result result;
  private final CompletableFuture<Result> answer;

  private PoisonReport(PageSet open, Result result, CompletableFuture<Result> answer) {
    this.open = open;
    this.result = result;
    this.answer = answer;
  }

  static PoisonReport of(
      List<PoisonEntry> entries, PageSet known, CompletableFuture<Result> answer) {
    PageSet open = new PageSet();
    PageSet alreadyKnown = new PageSet();
    for (PoisonEntry entry : entries) {
      LostPages.forEachFrame(
          entry, frame -> (known.contains(frame) ? alreadyKnown : open).add(frame));
    }
    return new PoisonReport(open, new Result(new PageSet(), new PageSet(), alreadyKnown), answer);
  }

  PageSet open() {
    return open.copy();
  }

  boolean isFinished() {
    return open.isEmpty();
  }

  /** Takes the destination's word; answers whether nothing is open any more. */
  boolean confirm(PageSet poisoned, PageSet held) {
    move(poisoned, result.poisoned());
    move(held, result.held());
    return isFinished();
  }

  private void move(PageSet confirmed, PageSet into) {
    confirmed.forEach(
        frame -> {
          if (open.contains(frame)) {
            open.remove(frame);
            into.add(frame);
          }
        });
  }

  /** No destination has any of it: everything that is news will be in the map. */
  void allPoisoned() {
    result.poisoned().addAll(open);
    finish();
  }

  void finish() {
    answer.complete(result);
  }

  void fail(Exception cause) {
    answer.completeExceptionally(cause);
  }
}
