package ward.vcpu;

import java.util.ArrayList;
import java.util.List;

/** Writes down, in order, what the vCPU core tells the keeper of the ledger. */
final class RecordedErrors implements MemoryErrors {

  record Injection(MemoryError error, MachineCheck check) {}

  private final List<Object> events = new ArrayList<>();

  @Override
  public boolean isKnown(long guestPhysicalAddress) {
    return false;
  }

  @Override
  public synchronized void consumed(MemoryError error) {
    events.add(error);
  }

  @Override
  public synchronized void injected(MemoryError error, MachineCheck check) {
    events.add(new Injection(error, check));
  }

  synchronized List<Object> events() {
    return List.copyOf(events);
  }

  List<MemoryError> consumed() {
    return only(MemoryError.class);
  }

  List<Injection> injected() {
    return only(Injection.class);
  }

  private <T> List<T> only(Class<T> type) {
    return events().stream().filter(type::isInstance).map(type::cast).toList();
  }
}
