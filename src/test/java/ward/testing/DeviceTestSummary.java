package ward.testing;

import java.util.EnumMap;
import java.util.Locale;
import java.util.Map;
import java.util.function.Consumer;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestTag;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;

/**
 * Ends a test run with one line about the tests that need a device, so that a green run on a
 * machine without the device cannot pass for proof:
 *
 * <pre>kernel: 14 run, 0 skipped; kvm: 0 run, 9 skipped (open on /dev/kvm failed: EACCES ...)</pre>
 *
 * <p>A class that is skipped as a whole counts its methods, each parameterized one once.
 */
public final class DeviceTestSummary implements TestExecutionListener {

  private final Map<Device, DeviceCount> counts = new EnumMap<>(Device.class);
  private final Consumer<String> printer;
  private TestPlan plan;

  /** For the service loader. */
  public DeviceTestSummary() {
    this(line -> System.out.println(System.lineSeparator() + line));
  }

  DeviceTestSummary(Consumer<String> printer) {
    this.printer = printer;
  }

  @Override
  public void testPlanExecutionStarted(TestPlan testPlan) {
    plan = testPlan;
    for (Device device : Device.values()) {
      counts.put(device, new DeviceCount());
    }
  }

  @Override
  public void executionSkipped(TestIdentifier skipped, String reason) {
    Stream.concat(Stream.of(skipped), plan.getDescendants(skipped).stream())
        .filter(identifier -> identifier.isTest() || isTemplate(identifier))
        .forEach(identifier -> countsOf(identifier).forEach(count -> count.skipped(reason)));
  }

  /** A parameterized test that was never expanded: neither a test nor a parent of any. */
  private boolean isTemplate(TestIdentifier identifier) {
    return identifier.isContainer() && plan.getChildren(identifier).isEmpty();
  }

  @Override
  public void executionFinished(TestIdentifier finished, TestExecutionResult result) {
    if (!finished.isTest()) {
      return;
    }
    if (result.getStatus() == TestExecutionResult.Status.ABORTED) {
      String reason = result.getThrowable().map(Throwable::getMessage).orElse("no reason given");
      countsOf(finished).forEach(count -> count.skipped(reason));
    } else {
      countsOf(finished).forEach(DeviceCount::run);
    }
  }

  private Stream<DeviceCount> countsOf(TestIdentifier test) {
    return counts.entrySet().stream()
        .filter(entry -> test.getTags().contains(TestTag.create(tag(entry.getKey()))))
        .map(Map.Entry::getValue);
  }

  private static String tag(Device device) {
    return device.name().toLowerCase(Locale.ROOT);
  }

  @Override
  public void testPlanExecutionFinished(TestPlan testPlan) {
    if (counts.values().stream().anyMatch(DeviceCount::isAny)) {
      printer.accept(line());
    }
  }

  private String line() {
    return counts.entrySet().stream()
        .map(entry -> tag(entry.getKey()) + ": " + entry.getValue())
        .collect(Collectors.joining("; "));
  }
}
