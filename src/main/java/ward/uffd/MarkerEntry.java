package ward.uffd;

import java.util.function.LongPredicate;

/** {@link MarkerKind#UFFD}. */
final class MarkerEntry extends PoisonMarker {

  @Override
  public MarkerKind kind() {
    return MarkerKind.UFFD;
  }

  @Override
  FillResult place(Userfaultfd watcher, long hostAddress, long lengthBytes) {
    return watcher.fill(FillRequest.POISON, hostAddress, lengthBytes);
  }

  @Override
  LongPredicate withoutEntry() {
    return page -> false;
  }

  @Override
  public void close() {
    // Nothing is open.
  }
}
