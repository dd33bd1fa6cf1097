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
    static List<Step> ofOneHost(Architecture architecture, TestClasses known) {
      return List.of(tests(known.needingAKernel()), loopback(architecture));
    }

    /**
     * On arm64 there is less of it: a guest that runs at the source meets its losses there without
     * end, and has one of the two processors to itself.
     */
    private static Step loopback(Architecture architecture) {
      List<String> arguments =
          new ArrayList<>(List.of("--memory", "16M", "--timeout", PATIENCE, "--json", RESULT));
      if (architecture == Architecture.ARM64) {
        arguments.addAll(List.of("--vcpus", "1", "--poison", "16", "--late-poison", "4"));
      }
      return new Step("ward.testbed.Loopback", arguments);
    }

    static List<Step> ofTwoHosts() {
      return List.of(
          new Step("ward.testbed.TwoHosts", List.of("--timeout", PATIENCE, "--json", RESULT)));
    }
  }
}
