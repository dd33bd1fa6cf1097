package ward.testbed.lab;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.platform.engine.DiscoverySelector;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.engine.TestSource;
import org.junit.platform.engine.discovery.DiscoverySelectors;
import org.junit.platform.engine.support.descriptor.ClassSource;
import org.junit.platform.engine.support.descriptor.MethodSource;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/**
 * Runs JUnit tests inside the lab. Its arguments are classes, or {@code Class#method}. A run in
 * which nothing ran is a failure.
 */
final class Inside implements TestExecutionListener {

  /** Where {@code /init} looks for what to hand out. */
  static final Path RESULT = Path.of("/tmp/ward-tests.json");

  private final List<String> passed = new ArrayList<>();
  private final List<TestReport.Entry> failed = new ArrayList<>();
  private final List<TestReport.Entry> skipped = new ArrayList<>();
  private long startedNanos;

  public static void main(String[] tests) throws IOException {
    Inside listener = new Inside();
    LauncherFactory.create().execute(request(List.of(tests)), listener);
    TestReport report = listener.report();
    Files.writeString(RESULT, new ObjectMapper().writeValueAsString(report));
    System.out.printf(
        "%d tests passed, %d failed, %d skipped%n",
        report.passed().size(), report.failed().size(), report.skipped().size());
    System.exit(report.failed().isEmpty() && !report.passed().isEmpty() ? 0 : 1);
  }

  private static LauncherDiscoveryRequest request(List<String> tests) {
    return LauncherDiscoveryRequestBuilder.request()
        .selectors(tests.stream().map(Inside::selector).toList())
        .configurationParameter("junit.jupiter.execution.timeout.default", "5 m")
        .configurationParameter(
            "junit.jupiter.execution.timeout.thread.mode.default", "SEPARATE_THREAD")
        .build();
  }

  private static DiscoverySelector selector(String test) {
    return test.contains("#")
        ? DiscoverySelectors.selectMethod(test)
        : DiscoverySelectors.selectClass(test);
  }

  private TestReport report() {
    return new TestReport(passed, failed, skipped);
  }

  @Override
  public void executionStarted(TestIdentifier test) {
    if (test.isTest()) {
      startedNanos = System.nanoTime();
    }
  }

  private String seconds() {
    return " (%.1f s)".formatted((System.nanoTime() - startedNanos) / 1e9);
  }

  @Override
  public void executionSkipped(TestIdentifier test, String reason) {
    System.out.println("skipped " + name(test) + ": " + reason);
    skipped.add(new TestReport.Entry(name(test), reason));
  }

  @Override
  public void executionFinished(TestIdentifier test, TestExecutionResult result) {
    switch (result.getStatus()) {
      case SUCCESSFUL -> succeeded(test);
      case ABORTED -> executionSkipped(test, reason(result));
      case FAILED -> {
        System.out.println("FAILED " + name(test) + seconds());
        result.getThrowable().ifPresent(why -> why.printStackTrace(System.out));
        failed.add(new TestReport.Entry(name(test), reason(result)));
      }
    }
  }

  private void succeeded(TestIdentifier test) {
    if (test.isTest()) {
      System.out.println("passed " + name(test) + seconds());
      passed.add(name(test));
    }
  }

  private static String reason(TestExecutionResult result) {
    return result.getThrowable().map(Throwable::toString).orElse("no reason given");
  }

  /** {@code Class#method}, and which invocation where there are several. */
  private static String name(TestIdentifier test) {
    TestSource source = test.getSource().orElse(null);
    if (source instanceof MethodSource method) {
      String name = method.getClassName() + "#" + method.getMethodName();
      boolean several = test.getDisplayName().startsWith("[");
      return several ? name + " " + test.getDisplayName() : name;
    }
    return source instanceof ClassSource type ? type.getClassName() : test.getDisplayName();
  }
}
