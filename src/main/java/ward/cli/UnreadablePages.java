package ward.cli;

import java.io.IOException;
import java.util.List;
import java.util.OptionalLong;
import java.util.Set;
import org.slf4j.Logger;
import org.slf4j.LoggerFactory;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.uffd.Feature;
import ward.uffd.FillResult;
import ward.uffd.MarkerKind;
import ward.uffd.PoisonMarker;
import ward.uffd.PoisonMarkers;
import ward.uffd.Userfaultfd;
import ward.uffd.UserfaultfdException;

/**
 * Makes pages of a source's own mapping unreadable, as the hardware would: those that a guest which
 * runs here has {@link #mark lost before}, and for tests of what a source does when it {@link
 * #inject finds them}.
 *
 * <p>The markers are in this process's page tables only; the memory file is not touched.
 */
final class UnreadablePages {

  private static final Logger log = LoggerFactory.getLogger("ward.source");
  private static final String RUNNING = "--run with lost pages in the ledger";

  private UnreadablePages() {}

  private interface MarkerChoice {
    PoisonMarker open() throws UserfaultfdException;
  }

  /**
   * What the ledger knows is lost for a guest that runs here. Any kind of marker does: nobody asks
   * the kernel about these pages. Before the first page is read: a marker goes only where nothing
   * is mapped yet.
   *
   * @param addresses guest-physical, of pages
   */
  static void mark(Kernel kernel, GuestMemory memory, Set<Long> addresses) {
    place(new PoisonMarkers(kernel)::openBest, kernel, memory, addresses, RUNNING);
  }

  /**
   * What the source has to find out by itself; as {@link #mark}.
   *
   * @param reason for messages: the option that asks for it
   */
  static void inject(Kernel kernel, GuestMemory memory, Set<Long> addresses, String reason) {
    place(() -> markerThatSaysPoison(kernel), kernel, memory, addresses, reason);
  }

  private static void place(
      MarkerChoice choice, Kernel kernel, GuestMemory memory, Set<Long> addresses, String reason) {
    if (addresses.isEmpty()) {
      return;
    }
    try (PoisonMarker marker = choice.open();
        Userfaultfd userfaultfd = Userfaultfd.open(kernel, marker)) {
      log.info("{} pages are marked here by {}", addresses.size(), marker.kind().description());
      forEachRegion(memory, userfaultfd::register);
      for (long address : addresses) {
        place(memory, userfaultfd, address, reason);
      }
      // While registered, reading a hole of the file would wait for a resolver that is not there.
      forEachRegion(memory, userfaultfd::unregister);
    } catch (IOException e) {
      throw new CommandFailure(ExitCode.HOST_REFUSED, reason + ": " + e.getMessage());
    }
  }

  /** A source that reads a page believes in poison only where the kernel calls it so: EHWPOISON. */
  private static PoisonMarker markerThatSaysPoison(Kernel kernel) throws UserfaultfdException {
    boolean poisons = Feature.POISON.isIn(Userfaultfd.offeredFeatures(kernel));
    return new PoisonMarkers(kernel).open(poisons ? MarkerKind.UFFD : MarkerKind.HWPOISON);
  }

  private interface RangeAction {
    void apply(long hostAddress, long lengthBytes) throws IOException;
  }

  private static void forEachRegion(GuestMemory memory, RangeAction action) throws IOException {
    List<GuestRegion> regions = memory.layout().regions();
    for (int i = 0; i < regions.size(); i++) {
      action.apply(memory.hostAddressOfRegion(i), regions.get(i).lengthBytes());
    }
  }

  private static void place(
      GuestMemory memory, Userfaultfd userfaultfd, long address, String reason) {
    OptionalLong page = memory.layout().pageAt(address);
    if (page.isEmpty()) {
      throw new CommandFailure(
          ExitCode.USAGE, "%s: 0x%x is not RAM of the guest".formatted(reason, address));
    }
    FillResult result =
        userfaultfd.poison(memory.hostAddressOf(page.getAsLong()), Pages.SIZE_BYTES);
    if (result.outcome() != FillResult.Outcome.COMPLETED) {
      throw new CommandFailure(
          ExitCode.HOST_REFUSED, "%s: 0x%x: %s".formatted(reason, address, result.explanation()));
    }
  }
}
