package ward.testbed;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.vcpu.ReportListener;

/**
 * Puts the words of each vCPU together into what the guest program says. Safe for all threads.
 *
 * <p>The layouts, in words of 32 bits after the tag, low halves first:
 *
 * <pre>
 * pass done       pass  pages read (2)  pages lost  sum (2)
 * machine check   page's GPA (2)  MCi_STATUS (2)  MCi_ADDR (2)  MCG_STATUS  MCi_MISC
 * unexpected      vector  error code  RIP (2)
 * aside           bank  MCi_STATUS (2)  MCi_ADDR (2)  MCi_MISC  MCG_STATUS
 * device          page's GPA (2)  status
 * abort           page's GPA (2)  vector's offset  ESR_EL1  FAR_EL1 (2)  ELR_EL1 (2)
 * command         what  address (2)  value (2)
 * shut            errors heard of meanwhile
 * counters        pass  pages passed (2)  the same in xmm0 (2)  machine checks taken (2)  TSC (2)
 * </pre>
 */
public final class WalkerReports implements ReportListener {

  private static final int TAG_PASS_DONE = 0x57440001;
  private static final int TAG_MACHINE_CHECK = 0x57440002;
  private static final int TAG_UNEXPECTED = 0x57440003;
  private static final int TAG_ASIDE = 0x57440004;
  private static final int TAG_DEVICE = 0x57440005;
  private static final int TAG_COUNTERS = 0x57440006;
  private static final int TAG_SHUT = 0x57440007;
  private static final int TAG_ABORT = 0x57440012;
  private static final int TAG_COMMAND = 0x57440013;

  /** The tag included. */
  private static final Map<Integer, Integer> WORDS =
      Map.of(
          TAG_PASS_DONE, 7,
          TAG_MACHINE_CHECK, 9,
          TAG_UNEXPECTED, 5,
          TAG_ASIDE, 8,
          TAG_DEVICE, 4,
          TAG_ABORT, 9,
          TAG_COUNTERS, 10,
          TAG_SHUT, 2,
          TAG_COMMAND, 6);

  /** The guest met a loss where it read. */
  public sealed interface LossSeen {

    int vcpu();

    /** Of the page being read. */
    long pageGpa();
  }

  /**
   * A machine check on the one load that was expected to meet one.
   *
   * @param pageGpa of the page being read
   * @param status MCi_STATUS
   * @param addr MCi_ADDR
   * @param mcgStatus the lower half of IA32_MCG_STATUS
   * @param misc the lower half of MCi_MISC
   */
  public record MachineCheckSeen(
      int vcpu, long pageGpa, long status, long addr, int mcgStatus, int misc)
      implements LossSeen {}

  /**
   * An error that the guest heard of without having met it: one that was only found, or another
   * vCPU's. As a machine check, or found in its bank.
   */
  public record AsideSeen(int vcpu, int bank, long status, long addr, int misc, int mcgStatus) {}

  /**
   * What the copying device said of a lost page.
   *
   * @param status 2 for done, 3 for failed
   */
  public record DeviceAnswer(int vcpu, long pageGpa, int status) {}

  /**
   * An external abort, where one was expected, or an SError.
   *
   * @param pageGpa of the page being read, or a command's address
   * @param vector its offset from VBAR_EL1
   * @param esr ESR_EL1
   * @param far FAR_EL1
   * @param elr ELR_EL1
   */
  public record AbortSeen(int vcpu, long pageGpa, int vector, int esr, long far, long elr)
      implements LossSeen {}

  /**
   * A command has been carried out, or met an abort.
   *
   * @param value that was loaded; 0 where none was
   */
  public record CommandDone(int vcpu, int what, long address, long value) {}

  /**
   * A vCPU that had made itself deaf to machine checks for a while opens its ears.
   *
   * @param heard machine checks that it took meanwhile
   */
  public record WasShut(int vcpu, int heard) {}

  /**
   * A vCPU has read its share once.
   *
   * @param pass from 0
   * @param sum of the hashes of the pages read
   */
  public record PassDone(int vcpu, int pass, long pagesRead, int pagesLost, long sum) {}

  /**
   * What a vCPU has counted by the end of a pass, over all passes.
   *
   * @param pages passed, read or lost, counted in memory
   * @param pagesInVectorRegister the same, counted in xmm0
   * @param machineChecks taken, counted in the MSR KERNEL_GS_BASE
   * @param tsc the time stamp counter
   */
  public record Counted(
      int vcpu, int pass, long pages, long pagesInVectorRegister, long machineChecks, long tsc) {}

  /** An exception that should not happen; the vCPU has switched itself off. */
  public record Unexpected(int vcpu, int vector, int errorCode, long rip) {}

  private final Map<Integer, List<Integer>> unfinished = new HashMap<>();
  private final Map<Integer, List<Integer>> unfinishedAside = new HashMap<>();
  private final List<AsideSeen> asides = new ArrayList<>();
  private final List<DeviceAnswer> deviceAnswers = new ArrayList<>();
  private final List<MachineCheckSeen> machineChecks = new ArrayList<>();
  private final List<AbortSeen> aborts = new ArrayList<>();
  private final List<CommandDone> commands = new ArrayList<>();
  private final List<WasShut> shut = new ArrayList<>();
  private final List<Counted> counted = new ArrayList<>();
  private final Map<Integer, List<Object>> story = new HashMap<>();
  private final List<PassDone> passes = new ArrayList<>();
  private final List<Unexpected> unexpected = new ArrayList<>();

  @Override
  public synchronized void onWord(int vcpu, int value) {
    add(vcpu, value, unfinished.computeIfAbsent(vcpu, ignored -> new ArrayList<>()));
  }

  @Override
  public synchronized void onAside(int vcpu, int value) {
    add(vcpu, value, unfinishedAside.computeIfAbsent(vcpu, ignored -> new ArrayList<>()));
  }

  private void add(int vcpu, int value, List<Integer> words) {
    words.add(value);
    Integer length = WORDS.get(words.get(0));
    if (length == null) {
      throw new IllegalStateException("vCPU %d reports tag 0x%x".formatted(vcpu, words.get(0)));
    }
    if (words.size() == length) {
      decode(vcpu, words);
      words.clear();
    }
  }

  private void decode(int vcpu, List<Integer> words) {
    if (words.get(0) == TAG_COUNTERS) {
      note(
          vcpu,
          counted,
          new Counted(
              vcpu, words.get(1), wide(words, 2), wide(words, 4), wide(words, 6), wide(words, 8)));
      return;
    }
    switch (words.get(0)) {
      case TAG_PASS_DONE ->
          note(
              vcpu,
              passes,
              new PassDone(vcpu, words.get(1), wide(words, 2), words.get(4), wide(words, 5)));
      case TAG_MACHINE_CHECK ->
          note(
              vcpu,
              machineChecks,
              new MachineCheckSeen(
                  vcpu,
                  wide(words, 1),
                  wide(words, 3),
                  wide(words, 5),
                  words.get(7),
                  words.get(8)));
      case TAG_ASIDE ->
          asides.add(
              new AsideSeen(
                  vcpu, words.get(1), wide(words, 2), wide(words, 4), words.get(6), words.get(7)));
      case TAG_SHUT -> shut.add(new WasShut(vcpu, words.get(1)));
      case TAG_DEVICE -> deviceAnswers.add(new DeviceAnswer(vcpu, wide(words, 1), words.get(3)));
      case TAG_ABORT ->
          note(
              vcpu,
              aborts,
              new AbortSeen(
                  vcpu,
                  wide(words, 1),
                  words.get(3),
                  words.get(4),
                  wide(words, 5),
                  wide(words, 7)));
      case TAG_COMMAND ->
          commands.add(new CommandDone(vcpu, words.get(1), wide(words, 2), wide(words, 4)));
      default -> unexpected.add(new Unexpected(vcpu, words.get(1), words.get(2), wide(words, 3)));
    }
  }

  private <T> void note(int vcpu, List<T> list, T what) {
    list.add(what);
    story.computeIfAbsent(vcpu, ignored -> new ArrayList<>()).add(what);
  }

  private static long wide(List<Integer> words, int low) {
    return Integer.toUnsignedLong(words.get(low)) | (long) words.get(low + 1) << 32;
  }

  /** So far, in order for each vCPU. */
  public synchronized List<MachineCheckSeen> machineChecks() {
    return List.copyOf(machineChecks);
  }

  /** Machine checks, then aborts, so far. */
  public synchronized List<LossSeen> losses() {
    List<LossSeen> losses = new ArrayList<>(machineChecks);
    losses.addAll(aborts);
    return losses;
  }

  /** So far, in order for each vCPU. */
  public synchronized List<AbortSeen> aborts() {
    return List.copyOf(aborts);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<CommandDone> commands() {
    return List.copyOf(commands);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<PassDone> passes() {
    return List.copyOf(passes);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<AsideSeen> asides() {
    return List.copyOf(asides);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<WasShut> shut() {
    return List.copyOf(shut);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<DeviceAnswer> deviceAnswers() {
    return List.copyOf(deviceAnswers);
  }

  /** So far, in order for each vCPU. */
  public synchronized List<Counted> counted() {
    return List.copyOf(counted);
  }

  /** One vCPU's machine checks, passes and counts so far, in order. */
  public synchronized List<Object> story(int vcpu) {
    return List.copyOf(story.getOrDefault(vcpu, List.of()));
  }

  /** So far; empty in a good run. */
  public synchronized List<Unexpected> unexpected() {
    return List.copyOf(unexpected);
  }
}
