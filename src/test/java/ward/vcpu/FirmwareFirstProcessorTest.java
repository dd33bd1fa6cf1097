package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;

import java.lang.reflect.Method;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import java.util.stream.LongStream;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;
import ward.vcpu.GhesSource.Notification;

class FirmwareFirstProcessorTest {

  private static final int VCPU = 1;
  private static final GhesSource ABORTS =
      new GhesSource(Notification.SYNCHRONOUS_EXTERNAL_ABORT, 0x1000, 0x1010, 0x1400, 0x200);
  private static final GhesSource POLLED =
      new GhesSource(Notification.POLLED, 0x1008, 0x1018, 0x2000, 0x1000);

  /** A processor that takes everything, and interrupts all others. */
  private static final class Plain implements Processor {

    final List<MemoryError> injected = new ArrayList<>();
    Optional<String> obstacle = Optional.empty();

    @Override
    public Map<String, byte[]> save() {
      return Map.of();
    }

    @Override
    public void restore(VcpuState state) {}

    @Override
    public void undoPendingAccess(GuestBytes memory) {}

    @Override
    public Optional<String> obstacle(MemoryError error) {
      return obstacle;
    }

    @Override
    public Injection inject(MemoryError error) {
      injected.add(error);
      return MachineChecks.encode(CpuVendor.INTEL, error);
    }

    @Override
    public boolean interruptsAll() {
      return true;
    }
  }

  private final FakeGuestRam ram = new FakeGuestRam();
  private final Plain plain = new Plain();

  @BeforeEach
  void acknowledgeBoth() {
    ram.putLong(ABORTS.readAckRegister(), 1);
    ram.putLong(POLLED.readAckRegister(), 1);
  }

  private Processor processor(GhesSource... sources) {
    GhesLayout layout = new GhesLayout(List.of(sources));
    return new FirmwareFirstProcessor(
        VCPU, plain, ErrorSources.of(ram.kernel, ram.memory(), layout));
  }

  private static MemoryError consumed(long gpa) {
    return error(OptionalLong.of(gpa), Severity.ACTION_REQUIRED);
  }

  private static MemoryError found(long gpa) {
    return error(OptionalLong.of(gpa), Severity.ACTION_OPTIONAL);
  }

  private static MemoryError error(OptionalLong gpa, Severity severity) {
    return new MemoryError(gpa, severity, 12, MemoryError.Input.SIGBUS_ACTION_REQUIRED, VCPU);
  }

  private void assertRecord(GhesSource source, List<MemoryError> errors) {
    byte[] record = new ErrorRecord(errors).toBytes();
    assertThat(ram.bytes(source.statusBlock(), record.length)).containsExactly(record);
  }

  private void assertNoRecord(GhesSource source) {
    assertThat(ram.bytes(source.statusBlock(), source.statusBlockBytes())).containsOnly(0);
  }

  @Test
  void aConsumedErrorIsOnRecordBeforeTheProcessorTellsIt() throws Exception {
    Processor processor = processor(ABORTS, POLLED);

    boolean prepared = processor.prepare(consumed(0x5000));

    assertThat(prepared).isTrue();
    assertRecord(ABORTS, List.of(consumed(0x5000)));
    assertThat(plain.injected).isEmpty();
    processor.inject(consumed(0x5000));
    assertThat(plain.injected).containsExactly(consumed(0x5000));
  }

  @Test
  void aConsumedErrorWaitsForTheAcknowledgementOfTheOneBefore() {
    Processor processor = processor(ABORTS, POLLED);
    processor.prepare(consumed(0x5000));

    assertThat(processor.prepare(consumed(0x6000))).isFalse();
    assertRecord(ABORTS, List.of(consumed(0x5000)));
    ram.putLong(ABORTS.readAckRegister(), 1);
    assertThat(processor.prepare(consumed(0x6000))).isTrue();
    assertRecord(ABORTS, List.of(consumed(0x6000)));
  }

  @Test
  void aConsumedErrorIsToldWithoutARecordWhereNoneCanBeWritten() {
    ram.poison(0x1000);

    assertThat(processor(ABORTS, POLLED).prepare(consumed(0x5000))).isTrue();
  }

  @Test
  void aConsumedErrorOfAGuestWithAPolledSourceOnlyIsTheProcessorsAlone() {
    Processor processor = processor(POLLED);

    assertThat(processor.prepare(consumed(0x5000))).isTrue();
    assertThat(ram.writes).isEmpty();
  }

  @Test
  void aWarningIsARecordAndNothingElse() throws Exception {
    plain.obstacle = Optional.of("a machine check was in progress");
    Processor processor = processor(ABORTS, POLLED);

    assertThat(processor.obstacle(found(0x5000))).isEmpty();
    Injection injection = processor.inject(found(0x5000));

    assertThat(injection).isEqualTo(new PolledRecord());
    assertRecord(POLLED, List.of(found(0x5000)));
    assertNoRecord(ABORTS);
    assertThat(plain.injected).isEmpty();
    assertThat(processor.interruptsAll()).isFalse();
  }

  @Test
  void whatIsToldByTheProcessorInterruptsAllAsItDoesWithoutSources() throws Exception {
    Processor processor = processor(POLLED);
    processor.inject(found(0x5000));

    processor.inject(consumed(0x6000));

    assertThat(processor.interruptsAll()).isTrue();
    assertThat(plain.injected).containsExactly(consumed(0x6000));
  }

  /** A broadcast has no address: the machine check itself is the message. */
  @Test
  void aWarningWithoutAnAddressIsTheProcessors() throws Exception {
    MemoryError unknown = error(OptionalLong.empty(), Severity.ACTION_OPTIONAL);
    plain.obstacle = Optional.of("a machine check was in progress");
    Processor processor = processor(ABORTS, POLLED);

    assertThat(processor.obstacle(unknown)).hasValue("a machine check was in progress");
    processor.inject(unknown);

    assertThat(plain.injected).containsExactly(unknown);
    assertNoRecord(POLLED);
  }

  @Test
  void aGuestWithoutAPolledSourceIsWarnedByItsProcessor() throws Exception {
    Processor processor = processor(ABORTS);

    processor.inject(found(0x5000));

    assertThat(plain.injected).containsExactly(found(0x5000));
    assertThat(ram.writes).isEmpty();
  }

  /** One is in the block, and a record's worth waits for it. */
  @Test
  void warningsGatherForTheNextRecordUntilThatIsFull() throws Exception {
    Processor processor = processor(ABORTS, POLLED);
    List<MemoryError> warnings =
        LongStream.range(1, 2 + PolledErrorSource.RECORD_ERRORS_MAX)
            .mapToObj(i -> found(0x1_0000 + 0x1000 * i))
            .toList();
    List<MemoryError> second = warnings.subList(1, warnings.size());
    for (MemoryError warning : warnings) {
      assertThat(processor.obstacle(warning)).isEmpty();
      processor.inject(warning);
    }

    assertThat(processor.obstacle(found(0x5000)))
        .hasValue("the guest had not polled its error source");
    assertThat(processor.unseen()).isEqualTo(second);
    ram.putLong(POLLED.readAckRegister(), 1);
    processor.show();

    assertRecord(POLLED, second);
    assertThat(processor.unseen()).isEmpty();
    assertThat(processor.obstacle(found(0x5000))).isEmpty();
  }

  @Test
  void aVcpuAnswersForItsOwnWarningsOnly() throws Exception {
    ErrorSources sources =
        ErrorSources.of(ram.kernel, ram.memory(), new GhesLayout(List.of(POLLED)));
    Processor own = new FirmwareFirstProcessor(VCPU, plain, sources);
    Processor other = new FirmwareFirstProcessor(VCPU + 1, plain, sources);
    own.inject(found(0x5000));
    own.inject(found(0x6000));

    assertThat(own.unseen()).containsExactly(found(0x6000));
    assertThat(other.unseen()).isEmpty();
    ram.putLong(POLLED.readAckRegister(), 1);
    other.show();

    assertThat(own.unseen()).isEmpty();
  }

  /** A default of the interface would hide what the processor behind does. */
  @Test
  void everyQuestionIsAnsweredByTheProcessorBehindOrByTheSources() {
    for (Method question : Processor.class.getDeclaredMethods()) {
      assertThat(FirmwareFirstProcessor.class).hasDeclaredMethods(question.getName());
    }
  }
}
