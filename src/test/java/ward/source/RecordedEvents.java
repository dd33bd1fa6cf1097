package ward.source;

import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import java.util.concurrent.atomic.AtomicLong;
import ward.poison.PoisonEntry;

/** Keeps what a listener hears. */
final class RecordedEvents implements SourceListener {

  final List<SourcePhase> phases = new CopyOnWriteArrayList<>();
  final List<PoisonEntry> learnt = new CopyOnWriteArrayList<>();
  final List<Long> unreadable = new CopyOnWriteArrayList<>();
  final AtomicLong answered = new AtomicLong();
  final AtomicLong data = new AtomicLong();
  final AtomicLong zero = new AtomicLong();

  @Override
  public void onPhase(SourcePhase previous, SourcePhase next, String reason) {
    phases.add(next);
  }

  @Override
  public void answered(long pages) {
    answered.addAndGet(pages);
  }

  @Override
  public void streamed(long dataPages, long zeroPages) {
    data.addAndGet(dataPages);
    zero.addAndGet(zeroPages);
  }

  @Override
  public void poisonLearnt(PoisonEntry entry) {
    learnt.add(entry);
  }

  @Override
  public void unreadable(long guestPhysicalAddress, String reason) {
    unreadable.add(guestPhysicalAddress);
  }
}
