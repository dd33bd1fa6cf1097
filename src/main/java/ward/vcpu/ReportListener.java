package ward.vcpu;

/** Hears what a guest program says over the report port. */
@FunctionalInterface
public interface ReportListener {

  /**
   * A vCPU wrote a word. Called on its thread, which runs on when this returns.
   *
   * @param vcpu index, from 0
   */
  void onWord(int vcpu, int value);

  /**
   * A vCPU wrote a word of a second report, which it may make in the middle of the first: an
   * exception handler's.
   *
   * @param vcpu index, from 0
   */
  default void onAside(int vcpu, int value) {}
}
