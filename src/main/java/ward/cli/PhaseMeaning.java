package ward.cli;

import java.util.Arrays;
import java.util.Optional;
import ward.destination.DestinationPhase;
import ward.source.SourcePhase;

/** What a phase means for an operator: where the guest is, and what is waited for. */
final class PhaseMeaning {

  private PhaseMeaning() {}

  /**
   * @param role {@code source} or {@code destination}, as the status says it
   * @return one sentence; empty for a phase of another version
   */
  static String of(String role, String phase) {
    Optional<String> meaning =
        role.equals("source")
            ? named(SourcePhase.values(), phase).map(PhaseMeaning::of)
            : named(DestinationPhase.values(), phase).map(PhaseMeaning::of);
    return meaning.orElse("");
  }

  /** Whether nothing follows; false for a phase of another version. */
  static boolean isLast(String role, String phase) {
    Optional<Boolean> last =
        role.equals("source")
            ? named(SourcePhase.values(), phase).map(SourcePhase::isLast)
            : named(DestinationPhase.values(), phase).map(DestinationPhase::isLast);
    return last.orElse(false);
  }

  private static <E extends Enum<E>> Optional<E> named(E[] all, String name) {
    return Arrays.stream(all).filter(each -> each.name().equals(name)).findFirst();
  }

  static String of(SourcePhase phase) {
    return switch (phase) {
      case LISTENING -> "no destination has come; the guest is here";
      case SENDING_MAP -> "a destination is told of the guest's losses; the guest is paused here";
      case MAP_APPLIED -> "the destination may run the guest, and has not said that it does";
      case SERVING -> "the guest runs at the destination; missing pages come from here";
      case HANDING_OVER -> "the destination has everything, and is told that it may keep it";
      case AWAITING_RETURN ->
          "the connections broke; the guest is at the destination or nowhere, and the destination may come back";
      case HANDED_OVER -> "the guest is at the destination; nothing here is needed any more";
      case ABORTED -> "given up; the guest never ran at the destination and is whole here";
      case UNFINISHED ->
          "given up after the guest may have run at the destination; the copy here is kept";
    };
  }

  static String of(DestinationPhase phase) {
    return switch (phase) {
      case CONNECTING -> "the source is being dialled; the guest is there";
      case RECEIVING_MAP -> "the guest's losses are put in place; the guest is at the source";
      case RUNNING -> "the guest runs here; missing pages come from the source";
      case HANDING_OVER -> "the guest runs here, no page is missing; the source is asked to let go";
      case RECOVERING -> "the connections broke and are made anew; what needs a missing page waits";
      case COMPLETE -> "the guest is here, whole but for what is lost";
      case ABORTED -> "given up; the guest did not run here, it is at the source";
      case UNFINISHED -> "given up while pages were missing; the guest is paused here";
    };
  }
}
