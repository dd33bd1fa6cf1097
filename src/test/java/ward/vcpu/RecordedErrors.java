package ward.vcpu;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.concurrent.ConcurrentHashMap;
import ward.memory.Pages;

/** Writes down, in order, what the vCPU core tells the keeper of the ledger. */
final class RecordedErrors implements MemoryErrors {

  private final List<Object> events = new ArrayList<>();

  private final Map<Long, Integer> known = new ConcurrentHashMap<>();

  void know(long page) {
    know(page, Pages.SHIFT);
  }

  /**
   * @param shift log2 of the lost extent that the page belongs to
   */
  void know(long page, int shift) {
    known.put(page, shift);
  }

  @Override
  public boolean isKnown(long guestPhysicalAddress) {
    return known.containsKey(guestPhysicalAddress);
  }

  @Override
  public OptionalInt lostExtentAt(long guestPhysicalAddress) {
    Integer shift = known.get(guestPhysicalAddress);
    return shift == null ? OptionalInt.empty() : OptionalInt.of(shift);
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
