package ward.cli;

/** What a command's exit code says: above all, where the guest is. */
public enum ExitCode {
  OK(0, "done"),
  INTERNAL_ERROR(1, "a fault in Ward itself; please report it"),
  USAGE(2, "wrong usage; nothing was done"),
  INPUT_REFUSED(3, "a file, layout or ledger was refused; nothing was changed"),
  HOST_REFUSED(
      4, "this host lacks something: a permission, a kernel feature, a free port, disk, memory"),
  PEER_REFUSED(5, "the peer is not Ward, speaks another version, refused, or broke the protocol"),
  UNFINISHED_BEFORE_RUN(6, "unfinished; the guest never ran at the destination"),
  UNFINISHED_AFTER_RUN(
      7, "unfinished; the guest ran at the destination, or may have, and pages are missing there"),
  VERIFICATION_FAILED(8, "counts, ledgers or markers do not agree; the source keeps its copy"),
  GUEST_ENDED(9, "the migration is complete, but the guest could not go on at the destination"),
  GUEST_ENDED_HERE(10, "the guest ended on the source before a destination took it"),
  SOURCE_LOST(
      11, "the source was lost; the guest is at the destination, what had not arrived is poison");

  private final int code;
  private final String meaning;

  ExitCode(int code, String meaning) {
    this.code = code;
    this.meaning = meaning;
  }

  public int code() {
    return code;
  }

  /** One clause, for the help. */
  public String meaning() {
    return meaning;
  }
}
