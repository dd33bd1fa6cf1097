package ward.testbed.lab;

import java.util.List;

/**
 * What became of the tests inside. Names are {@code Class#method}, with the invocation's name where
 * a method ran several times.
 *
 * @param failed with the first line of what went wrong
 * @param skipped with the reason
 */
record TestReport(List<String> passed, List<Entry> failed, List<Entry> skipped) {

  /** A test and why. */
  record Entry(String test, String reason) {}
}
