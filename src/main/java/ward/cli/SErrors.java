package ward.cli;

import java.io.IOException;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import ward.guest.Guest;
import ward.wire.ControlMessage;

/** {@code ward control serror}, in the daemon that is asked. */
final class SErrors {

  private SErrors() {}

  /**
   * @param guest that runs in this daemon; null for none
   */
  static CompletionStage<ControlMessage> raise(Guest guest, ControlMessage.RaiseSError command) {
    if (guest == null) {
      return CompletableFuture.failedFuture(
          new IOException("the guest does not run here: ask the daemon where it runs"));
    }
    try {
      guest.raiseSError(command.vcpu(), command.syndrome());
      return CompletableFuture.completedFuture(
          new ControlMessage.Done(
              "an SError with syndrome 0x%x is pending on vCPU %d"
                  .formatted(command.syndrome(), command.vcpu())));
    } catch (IOException e) {
      return CompletableFuture.failedFuture(e);
    }
  }
}
