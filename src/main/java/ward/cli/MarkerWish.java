package ward.cli;

import ward.kernel.Kernel;
import ward.uffd.MarkerKind;
import ward.uffd.PoisonMarker;
import ward.uffd.PoisonMarkers;
import ward.uffd.UserfaultfdException;

/** How the operator wants lost pages marked. */
enum MarkerWish {
  /** The best that this host offers. */
  AUTO,
  /** {@link MarkerKind#UFFD} or nothing. */
  UFFD,
  /** {@link MarkerKind#HWPOISON} or nothing. */
  HWPOISON,
  /** {@link MarkerKind#SIGBUS} or nothing. */
  SIGBUS;

  static PoisonMarker openForHugePages(Kernel kernel) {
    try {
      return new PoisonMarkers(kernel).openForHugePages();
    } catch (UserfaultfdException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, "--memory hugetlb: " + e.getMessage());
    }
  }

  PoisonMarker open(Kernel kernel) {
    PoisonMarkers markers = new PoisonMarkers(kernel);
    try {
      return this == AUTO ? markers.openBest() : markers.open(MarkerKind.valueOf(name()));
    } catch (UserfaultfdException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, e.getMessage());
    }
  }
}
