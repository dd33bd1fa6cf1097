package ward.vcpu;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.LockSupport;
import ward.kernel.KernelCallException;
import ward.poison.Severity;

/**
 * A processor of a guest whose firmware has error sources. What the guest consumed is on record
 * there before the processor tells it; of other losses the record is all that it hears.
 */
final class FirmwareFirstProcessor implements Processor {

  /** Between two tries of a vCPU whose record waits; meanwhile it meets its error again. */
  private static final long WAIT_NANOS = TimeUnit.MILLISECONDS.toNanos(1);

  private final Processor processor;
  private final ErrorSources sources;
  private boolean lastWasWarning;

  /** Which of the polled source's errors are this vCPU's. */
  private final int vcpu;

  FirmwareFirstProcessor(int vcpu, Processor processor, ErrorSources sources) {
    this.vcpu = vcpu;
    this.processor = processor;
    this.sources = sources;
  }

  @Override
  public void attach(GuestBytes memory) {
    processor.attach(memory);
  }

  /** Without an address a record would say nothing. */
  private boolean isWarning(MemoryError error) {
    return sources.polled().isPresent()
        && error.severity() == Severity.ACTION_OPTIONAL
        && error.guestPhysicalAddress().isPresent();
  }

  @Override
  public Optional<String> obstacle(MemoryError error) throws KernelCallException {
    if (!isWarning(error)) {
      return processor.obstacle(error);
    }
    return sources.polled().orElseThrow().isFull()
        ? Optional.of("the guest had not polled its error source")
        : Optional.empty();
  }

  @Override
  public boolean prepare(MemoryError error) {
    if (sources.consumed().isEmpty() || error.severity() != Severity.ACTION_REQUIRED) {
      return processor.prepare(error);
    }
    if (sources.consumed().get().deliver(error) == GhesErrorSource.Delivery.WAITS) {
      LockSupport.parkNanos(WAIT_NANOS);
      return false;
    }
    return processor.prepare(error);
  }

  @Override
  public Injection inject(MemoryError error) throws KernelCallException {
    lastWasWarning = isWarning(error);
    if (!lastWasWarning) {
      return processor.inject(error);
    }
    sources.polled().orElseThrow().announce(error);
    show();
    return new PolledRecord();
  }

  @Override
  public List<MemoryError> unseen() {
    return sources
        .polled()
        .map(source -> source.waiting().stream().filter(error -> error.vcpu() == vcpu).toList())
        .orElse(List.of());
  }

  @Override
  public void show() {
    sources.polled().ifPresent(PolledErrorSource::deliverWaiting);
  }

  @Override
  public boolean interruptsAll() throws KernelCallException {
    return !lastWasWarning && processor.interruptsAll();
  }

  @Override
  public Optional<MemoryError> unread() throws KernelCallException {
    return processor.unread();
  }

  @Override
  public Optional<MemoryError> withdrawUnread() throws KernelCallException {
    return processor.withdrawUnread();
  }

  @Override
  public void inheritUnread(MemoryError error) {
    processor.inheritUnread(error);
  }

  @Override
  public Map<String, byte[]> save() throws IOException {
    return processor.save();
  }

  @Override
  public void restore(VcpuState state) throws IOException {
    processor.restore(state);
  }

  @Override
  public void restoreIntoMemory() throws IOException {
    processor.restoreIntoMemory();
  }

  @Override
  public void undoPendingAccess(GuestBytes memory) throws KernelCallException {
    processor.undoPendingAccess(memory);
  }

  @Override
  public void undoFailedEmulation() throws KernelCallException {
    processor.undoFailedEmulation();
  }

  @Override
  public AddressFinder addressFinder(GuestBytes memory) throws KernelCallException {
    return processor.addressFinder(memory);
  }

  @Override
  public void refuseAccess() throws KernelCallException {
    processor.refuseAccess();
  }

  @Override
  public void injectSError(int syndrome) throws KernelCallException {
    processor.injectSError(syndrome);
  }
}
