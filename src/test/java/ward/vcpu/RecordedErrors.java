package ward.vcpu;

import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** Writes down, in order, what the vCPU core tells the keeper of the ledger. */
final class RecordedErrors implements MemoryErrors {

  private final List<Object> events = new ArrayList<>();

  private final Set<Long> known = ConcurrentHashMap.newKeySet();

  void know(long page) {
    known.add(page);
  }

  @Override
  public boolean isKnown(long guestPhysicalAddress) {
    return known.contains(guestPhysicalAddress);
  }

  @Override
  public synchronized void consumed(MemoryError error) {
    events.add(error);
  }

  @Override
  public synchronized void injected(MemoryErrorEvent event) {
    events.add(event);
  }

  synchronized List<Object> events() {
    return List.copyOf(events);
  }

  List<MemoryError> consumed() {
    return only(MemoryError.class);
  }

  List<MemoryErrorEvent> injected() {
    return only(MemoryErrorEvent.class);
  }

  private <T> List<T> only(Class<T> type) {
    return events().stream().filter(type::isInstance).map(type::cast).toList();
  }
}
