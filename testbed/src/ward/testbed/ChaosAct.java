package ward.testbed;

import java.time.Duration;
import java.util.List;

/** What goes wrong besides single bytes, at the moment at which a byte is about to pass. */
sealed interface ChaosAct extends Fault.Act {

  /** Every connection is reset, and nobody gets through for a while. */
  record Outage(Duration time) implements ChaosAct {}

  /** Everything is slower for a while. */
  record Lag(Duration latency, Duration time) implements ChaosAct {}

  /**
   * The next connections are held and let through in another order.
   *
   * @param order a permutation of 0 to n - 1
   */
  record Reorder(List<Integer> order) implements ChaosAct {}

  /** SIGSTOP, and SIGCONT after that time. */
  record Freeze(ChaosSide side, Duration time) implements ChaosAct {
    @Override
    public String name() {
      return "Freeze " + side;
    }
  }

  /**
   * SIGKILL. After that time another process takes its place, on the same ledger and memory; a
   * destination's memory outlives it only if it belongs to another process.
   */
  record Kill(ChaosSide side, Duration vacancy) implements ChaosAct {
    @Override
    public String name() {
      return "Kill " + side;
    }
  }

  /** The file system that holds a side's ledger has no block left, for that time. */
  record FillDisk(ChaosSide side, Duration time) implements ChaosAct {
    @Override
    public String name() {
      return "FillDisk " + side;
    }
  }

  /** The time of day that one daemon sees jumps; negative: back. */
  record ClockStep(ChaosSide side, Duration by) implements ChaosAct {
    @Override
    public String name() {
      return "ClockStep " + side;
    }
  }

  /**
   * The guest gives pages back (MADV_DONTNEED), as a balloon does; only where another process owns
   * its memory.
   *
   * @param draw a random number that chooses the first of them
   */
  record GiveBack(int pages, long draw) implements ChaosAct {}

  /** Which pages are lost late. */
  enum Victims {
    ANY,
    /** The one that was asked for last: its answer is on its way, or is not made yet. */
    ASKED,
    /** The one whose bytes wait at this moment, and go on after the report. */
    IN_FLIGHT
  }

  /**
   * Pages are reported lost at the source, by its control socket.
   *
   * @param count of them, where they are any
   * @param draw a random number that chooses them
   */
  record Report(Victims victims, int count, long draw) implements ChaosAct {
    @Override
    public String name() {
      return "Report " + victims;
    }
  }
}
