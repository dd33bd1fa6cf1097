package ward.owner;

import java.io.IOException;
import java.util.List;
import ward.guest.Guest;
import ward.guest.GuestFactory;
import ward.guest.UnfitGuestException;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/** Takes guests into the memory that another process holds ready for one of them. */
public final class OwnedGuestFactory implements GuestFactory {

  private final OwnerConnection owner;

  public OwnedGuestFactory(OwnerConnection owner) {
    this.owner = owner;
  }

  /**
   * {@inheritDoc}
   *
   * @throws UnfitGuestException if the memory is another guest's, or of another shape; the owner is
   *     told too
   */
  @Override
  public Guest create(GuestLayout layout, byte[] vcpuStates) throws IOException {
    requireFit(layout);
    owner.arrive(vcpuStates);
    return new OwnedGuest(owner);
  }

  /** The guest that came to this memory before, with whatever has arrived of it. */
  public Guest present() {
    return new OwnedGuest(owner);
  }

  private void requireFit(GuestLayout offered) throws UnfitGuestException {
    GuestLayout ours = owner.memory().layout();
    if (!ours.guest().equals(offered.guest())) {
      throw refused(
          "the source offers guest %s, the memory owner (process %d) holds memory ready for guest %s; start the one or the other for the same guest"
              .formatted(offered.guest(), owner.memory().process(), ours.guest()));
    }
    if (!places(ours).equals(places(offered))) {
      throw refused(
          "guest %s has RAM at %s at the source, and at %s in the memory owner (process %d); make them equal"
              .formatted(offered.guest(), places(offered), places(ours), owner.memory().process()));
    }
  }

  private UnfitGuestException refused(String reason) {
    owner.refuse(reason);
    return new UnfitGuestException(reason);
  }

  private static List<String> places(GuestLayout layout) {
    return layout.regions().stream().map(OwnedGuestFactory::place).toList();
  }

  private static String place(GuestRegion region) {
    return "0x%x..0x%x".formatted(region.guestPhysicalAddress(), region.endAddress());
  }
}
