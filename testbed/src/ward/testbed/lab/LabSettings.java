package ward.testbed.lab;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/**
 * What the command line asks for.
 *
 * @param memoryMebibytes of the emulated machine; what it runs from is in there too
 * @param hosts how many machines there are, all alike, on one network of their own
 * @param steps what runs inside, one after the other
 * @param deadline for the machine, from its start
 */
record LabSettings(
    Architecture architecture,
    KernelChoice kernel,
    String cpu,
    int memoryMebibytes,
    int processors,
    int hosts,
    List<Step> steps,
    Duration deadline,
    Path cache,
    boolean refresh) {

  /**
   * One program inside.
   *
   * @param main a class with a main method
   */
  record Step(String main, List<String> arguments) {

    /** By name: the class needs JUnit, which is on no class path outside. */
    private static final String RESULT = "/tmp/ward-run.json";

    private static final String TEST_RUNNER = "ward.testbed.lab.Inside";

    /** Seconds. The lab's own deadline is what counts. */
    private static final String PATIENCE = "1000";

    static Step tests(List<String> tests) {
      return new Step(TEST_RUNNER, tests);
    }

    /** What is run when nothing is asked for. */
    static List<Step> ofOneHost(TestClasses known) {
      return List.of(
          tests(known.needingAKernel()), new Step("ward.testbed.Loopback", smallLoopback()));
    }

    /**
     * Two JVMs share few processors with a guest that is never idle, and that meets its losses
     * without end as long as it runs at the source.
     */
    private static List<String> smallLoopback() {
      List<String> arguments = new ArrayList<>(List.of("--memory", "16M", "--vcpus", "1"));
      arguments.addAll(List.of("--poison", "16", "--late-poison", "4"));
      arguments.addAll(List.of("--timeout", PATIENCE, "--json", RESULT));
      return arguments;
    }

    static List<Step> ofTwoHosts() {
      return List.of(
          new Step("ward.testbed.TwoHosts", List.of("--timeout", PATIENCE, "--json", RESULT)));
    }
  }
}
