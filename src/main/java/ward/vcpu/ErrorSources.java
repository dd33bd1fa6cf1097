package ward.vcpu;

import java.util.Optional;
import ward.guest.GuestMemory;
import ward.kernel.Kernel;

/**
 * The error sources of one guest, shared by its vCPUs: where records of errors go that an access
 * ran into, and where warnings go of those that nothing has consumed yet. A guest may have either,
 * both or none.
 */
record ErrorSources(Optional<GhesErrorSource> consumed, Optional<PolledErrorSource> polled) {

  /**
   * @throws IllegalArgumentException if a source is not in the guest's RAM, which {@link
   *     GhesLayout#parse} has made sure of for one that came from another host
   */
  static ErrorSources of(Kernel kernel, GuestMemory memory, GhesLayout layout) {
    return new ErrorSources(
        block(kernel, memory, layout, GhesSource.Notification.SYNCHRONOUS_EXTERNAL_ABORT)
            .map(block -> new GhesErrorSource(block, System::nanoTime)),
        block(kernel, memory, layout, GhesSource.Notification.POLLED).map(PolledErrorSource::new));
  }

  private static Optional<ErrorStatusBlock> block(
      Kernel kernel, GuestMemory memory, GhesLayout layout, GhesSource.Notification notification) {
    return layout.source(notification).map(source -> new ErrorStatusBlock(kernel, memory, source));
  }
}
