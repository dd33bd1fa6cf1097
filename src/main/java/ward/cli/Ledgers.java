package ward.cli;

import ward.poison.LedgerException;

/** What a ledger that cannot be opened means for a command. */
final class Ledgers {

  private Ledgers() {}

  static ExitCode exitCodeFor(LedgerException failure) {
    return switch (failure.kind()) {
      case OTHER_GUEST, DAMAGED -> ExitCode.INPUT_REFUSED;
      case IN_USE, IO -> ExitCode.HOST_REFUSED;
    };
  }
}
