package ward.testbed.linux;

import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import ward.memory.Pages;

/**
 * What a Linux guest wrote on its console, first on one host and then on another; what its first
 * program says is told in {@code testbed/guest/linux-init.c}.
 *
 * <p>A line that the guest began on the one host and ended on the other counts for the other.
 */
public final class LinuxTranscript {

  private static final Pattern VICTIM = Pattern.compile("VICTIM page 0x([0-9a-f]+) pid (\\d+)");
  private static final Pattern VICTIM_END =
      Pattern.compile("VICTIM pid (\\d+) exit (-?\\d+) signal (\\d+)");
  private static final Pattern ALIVE = Pattern.compile("ALIVE (\\d+) ([0-9.]+)");
  private static final Pattern PAGE = Pattern.compile("PAGE 0x([0-9a-f]+) hwpoison ([01])");
  private static final Pattern OTHER = Pattern.compile("OTHER ok (\\d+)");
  private static final Pattern CORRUPTED = Pattern.compile("MEMINFO HardwareCorrupted (-?\\d+) kB");
  private static final String RECOVERY = "Memory failure: 0x%x: recovery action for";
  private static final Pattern KERNEL_TROUBLE =
      Pattern.compile("Kernel panic|Oops|BUG:|Call Trace|FAILED ");

  /** How a kernel tells of the error itself: x86's machine check, or a record of the firmware. */
  private static final List<String> REPORTS =
      List.of(
          "Uncorrected hardware memory error in user-access at %x", "physical_address: 0x%016x");

  /** A page as {@code HardwareCorrupted} counts it. */
  private static final long PAGE_KIBIBYTES = 4;

  private static final int SIGBUS = 7;

  /** Seconds that the guest must have counted before the move, after it, and after the loss. */
  private static final int ALIVE_LEAST = 3;

  /** How the guest heard of its loss, and so what has to be seen. */
  public enum Course {
    /** By touching the page. */
    CONSUMED,
    /** Its kernel was warned, and took the page out of use before anything touched it. */
    WARNED
  }

  /** A process that the guest's program sacrifices. */
  public record Victim(long page, int pid) {}

  /**
   * @param number counts from 1
   * @param uptimeSeconds by the guest's clock
   */
  private record Alive(int line, int number, double uptimeSeconds) {}

  private final List<String> lines;
  private final int linesAtSource;

  private LinuxTranscript(List<String> lines, int linesAtSource) {
    this.lines = lines;
    this.linesAtSource = linesAtSource;
  }

  /**
   * @param atSource everything from the guest's first line on
   * @param atDestination what followed; empty so far if it has not moved
   */
  public static LinuxTranscript of(String atSource, String atDestination) {
    String clean = atSource.replace("\r", "");
    int linesAtSource = (int) clean.chars().filter(character -> character == '\n').count();
    String all = clean + atDestination.replace("\r", "");
    return new LinuxTranscript(all.lines().toList(), linesAtSource);
  }

  public List<String> lines() {
    return lines;
  }

  /** How many of the lines were complete before the guest moved. */
  public int linesAtSource() {
    return linesAtSource;
  }

  /** Empty until the guest has told. */
  public Optional<Victim> victim() {
    return find(VICTIM, 0)
        .map(
            line -> new Victim(Long.parseLong(line.group(1), 16), Integer.parseInt(line.group(2))));
  }

  /** How far the guest has counted. */
  public int aliveCount() {
    List<Alive> all = alive();
    return all.isEmpty() ? 0 : all.get(all.size() - 1).number();
  }

  /** Whether the guest has said how many of its pages are corrupted since it moved. */
  public boolean hasReportedAfterTheMove() {
    return find(CORRUPTED, linesAtSource).isPresent();
  }

  /** Whether the kernel has done with its lost page what it can. */
  public boolean hasRecovered() {
    return victim().map(this::recovery).filter(text -> hasLine(0, text)).isPresent();
  }

  private String recovery(Victim victim) {
    return RECOVERY.formatted(victim.page() >> Pages.SHIFT);
  }

  private boolean hasLine(int from, String text) {
    return lines.stream().skip(from).anyMatch(line -> line.contains(text));
  }

  public boolean hasVictimEnded() {
    return lineOf(VICTIM_END, 0) >= 0;
  }

  public boolean hasReportedBeforeTheMove() {
    return find(CORRUPTED, 0).isPresent();
  }

  private Optional<Matcher> find(Pattern pattern, int from) {
    return lines.stream().skip(from).map(pattern::matcher).filter(Matcher::find).findFirst();
  }

  private List<Alive> alive() {
    List<Alive> all = new ArrayList<>();
    for (int i = 0; i < lines.size(); i++) {
      Matcher line = ALIVE.matcher(lines.get(i));
      if (line.find()) {
        all.add(new Alive(i, Integer.parseInt(line.group(1)), Double.parseDouble(line.group(2))));
      }
    }
    return all;
  }

  /**
   * Holds the transcript against what has to be seen: one process killed by SIGBUS after the move,
   * the kernel's account of it, the page out of use, and everything else as it was.
   *
   * @return what is not so, a line each
   */
  public List<String> failures(Course course) {
    List<String> failures = new ArrayList<>();
    Optional<Victim> victim = victim();
    if (victim.isEmpty()) {
      failures.add("the guest told of no victim");
      return failures;
    }
    checkVictim(victim.get(), failures);
    checkKernel(course, victim.get(), failures);
    checkReports(victim.get(), failures);
    checkAlive(failures);
    if (lines.stream().noneMatch(line -> line.startsWith("BYE "))) {
      failures.add("the guest did not switch itself off in order");
    }
    return failures;
  }

  private void checkVictim(Victim victim, List<String> failures) {
    int end = lineOf(VICTIM_END, 0);
    if (end < 0) {
      failures.add("the victim did not end");
      return;
    }
    Matcher line = VICTIM_END.matcher(lines.get(end));
    line.find();
    if (Integer.parseInt(line.group(1)) != victim.pid()
        || Integer.parseInt(line.group(3)) != SIGBUS) {
      failures.add(
          "\"%s\"; process %d should have been killed by signal %d"
              .formatted(lines.get(end), victim.pid(), SIGBUS));
    }
    if (end < linesAtSource) {
      failures.add("the victim ended before the guest moved");
    }
    if (lines.stream().anyMatch(text -> text.startsWith("VICTIM read "))) {
      failures.add("the victim read its page, which is lost");
    }
  }

  private int lineOf(Pattern pattern, int from) {
    for (int i = from; i < lines.size(); i++) {
      if (pattern.matcher(lines.get(i)).find()) {
        return i;
      }
    }
    return -1;
  }

  /** A warning may come before the move, and kills nobody; what touches the page then does. */
  private void checkKernel(Course course, Victim victim, List<String> failures) {
    lines.stream()
        .filter(line -> KERNEL_TROUBLE.matcher(line).find())
        .forEach(line -> failures.add("the guest is in trouble: " + line));
    String killing =
        "Memory failure: 0x%x: Sending SIGBUS to init:%d"
            .formatted(victim.page() >> Pages.SHIFT, victim.pid());
    switch (course) {
      case CONSUMED -> {
        requireAll(linesAtSource, "after the move", victim, failures);
        requireAny(linesAtSource, "after the move", List.of(killing), failures);
      }
      case WARNED -> {
        requireAll(0, "at all", victim, failures);
        if (hasLine(0, killing)) {
          failures.add("the warning itself killed the victim");
        }
        if (lineOf(CORRUPTED, linesAtSource) > lineOf(VICTIM_END, 0)) {
          failures.add("the page was touched before the guest said that it is out of use");
        }
      }
    }
  }

  /** What every kernel says of a loss, however it heard of it. */
  private void requireAll(int from, String when, Victim victim, List<String> failures) {
    requireAny(from, when, List.of(recovery(victim)), failures);
    List<String> reports = REPORTS.stream().map(report -> report.formatted(victim.page())).toList();
    requireAny(from, when, reports, failures);
  }

  private void requireAny(int from, String when, List<String> texts, List<String> failures) {
    if (texts.stream().noneMatch(text -> hasLine(from, text))) {
      failures.add(
          "the guest's kernel did not log \"%s\" %s"
              .formatted(String.join("\" or \"", texts), when));
    }
  }

  /**
   * Before the move nothing was wrong in the guest, after it one page; others kept their memory.
   */
  private void checkReports(Victim victim, List<String> failures) {
    checkReport(0, victim, 0, failures);
    checkReport(linesAtSource, victim, 1, failures);
    Optional<Long> before = find(OTHER, 0).map(line -> Long.parseLong(line.group(1)));
    Optional<Long> after = find(OTHER, linesAtSource).map(line -> Long.parseLong(line.group(1)));
    if (before.isEmpty() || after.isEmpty() || after.get() <= before.get()) {
      failures.add(
          "the other process compared its memory %s times before the move and %s after it"
              .formatted(before, after));
    }
    if (lines.stream().anyMatch(line -> line.startsWith("OTHER") && !line.startsWith("OTHER ok"))) {
      failures.add("the other process did not keep its memory");
    }
  }

  private void checkReport(int from, Victim victim, int pages, List<String> failures) {
    String when = from == 0 ? "before" : "after";
    Optional<Matcher> page = find(PAGE, from);
    if (page.isEmpty()
        || Long.parseLong(page.get().group(1), 16) != victim.page()
        || Integer.parseInt(page.get().group(2)) != pages) {
      failures.add(
          "%s the move the kernel's flags of page 0x%x are \"%s\"; hwpoison %d is right"
              .formatted(when, victim.page(), page.map(Matcher::group).orElse("not told"), pages));
    }
    Optional<Long> corrupted = find(CORRUPTED, from).map(line -> Long.parseLong(line.group(1)));
    if (corrupted.isEmpty() || corrupted.get() != pages * PAGE_KIBIBYTES) {
      failures.add(
          "%s the move HardwareCorrupted is %s kB; %d is right"
              .formatted(
                  when, corrupted.map(String::valueOf).orElse("not told"), pages * PAGE_KIBIBYTES));
    }
  }

  private void checkAlive(List<String> failures) {
    List<Alive> all = alive();
    for (int i = 0; i < all.size(); i++) {
      if (all.get(i).number() != i + 1) {
        failures.add("line %d of ALIVE says %d".formatted(i + 1, all.get(i).number()));
      }
      if (i > 0 && all.get(i).uptimeSeconds() < all.get(i - 1).uptimeSeconds()) {
        failures.add("the guest's clock went back at ALIVE %d".formatted(i + 1));
      }
    }
    int end = lineOf(VICTIM_END, 0);
    requireAlive("before the move", all, 0, linesAtSource, failures);
    requireAlive("between the move and the loss", all, linesAtSource, end, failures);
    requireAlive("after the loss", all, end, lines.size(), failures);
  }

  private static void requireAlive(
      String when, List<Alive> all, int from, int to, List<String> failures) {
    long count = all.stream().filter(line -> line.line() >= from && line.line() < to).count();
    if (count < ALIVE_LEAST) {
      failures.add(
          "the guest counted %d seconds %s; at least %d are expected"
              .formatted(count, when, ALIVE_LEAST));
    }
  }

  /** For people: the lines, with the move between them. */
  @Override
  public String toString() {
    List<String> shown = new ArrayList<>();
    shown.add("--- at the source");
    shown.addAll(lines.subList(0, Math.min(linesAtSource, lines.size())));
    shown.add("--- at the destination");
    shown.addAll(lines.subList(Math.min(linesAtSource, lines.size()), lines.size()));
    return String.join(System.lineSeparator(), shown);
  }
}
