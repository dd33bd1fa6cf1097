package ward.destination;

import java.util.concurrent.atomic.LongAdder;

/** How many pages ended in which way. Each page is counted once, after its ioctl. */
public final class PageCounts {

  private final LongAdder data = new LongAdder();
  private final LongAdder zero = new LongAdder();
  private final LongAdder poisoned = new LongAdder();
  private final LongAdder givenBack = new LongAdder();

  void addData(long pages) {
    data.add(pages);
  }

  void addZero(long pages) {
    zero.add(pages);
  }

  /** They were counted, and are lost now. */
  void withdrawData(long pages) {
    data.add(-pages);
  }

  /** They were counted, and are lost now. */
  void withdrawZero(long pages) {
    zero.add(-pages);
  }

  void addPoisoned(long pages) {
    poisoned.add(pages);
  }

  void addGivenBack(long pages) {
    givenBack.add(pages);
  }

  /** Pages that got the source's bytes. */
  public long data() {
    return data.sum();
  }

  /** Pages that are zeros at the source. */
  public long zero() {
    return zero.sum();
  }

  /** Pages that are lost. */
  public long poisoned() {
    return poisoned.sum();
  }

  /** Pages that the guest gave back before they came. */
  public long givenBack() {
    return givenBack.sum();
  }

  /** All of them. */
  public long resolved() {
    return data() + zero() + poisoned() + givenBack();
  }
}
