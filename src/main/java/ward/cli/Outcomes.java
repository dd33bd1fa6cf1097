package ward.cli;

import ward.destination.DestinationOutcome;
import ward.source.SourceOutcome;

/** How the end of a migration reads as an exit code. */
final class Outcomes {

  private Outcomes() {}

  static ExitCode exitCode(SourceOutcome outcome) {
    return switch (outcome.kind()) {
      case HANDED_OVER -> ExitCode.OK;
      case ABORTED -> ExitCode.UNFINISHED_BEFORE_RUN;
      case UNFINISHED -> ExitCode.UNFINISHED_AFTER_RUN;
      case PEER_REFUSED -> ExitCode.PEER_REFUSED;
      case VERIFICATION_FAILED -> ExitCode.VERIFICATION_FAILED;
      case HOST_FAILED -> ExitCode.HOST_REFUSED;
    };
  }

  static ExitCode exitCode(DestinationOutcome outcome) {
    return switch (outcome.kind()) {
      case COMPLETE -> ExitCode.OK;
      case SOURCE_LOST -> ExitCode.SOURCE_LOST;
      case INPUT_REFUSED -> ExitCode.INPUT_REFUSED;
      case HOST_REFUSED -> ExitCode.HOST_REFUSED;
      case PEER_REFUSED -> ExitCode.PEER_REFUSED;
      case ABORTED -> ExitCode.UNFINISHED_BEFORE_RUN;
      case UNFINISHED -> ExitCode.UNFINISHED_AFTER_RUN;
      case VERIFICATION_FAILED -> ExitCode.VERIFICATION_FAILED;
    };
  }
}
