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
}
