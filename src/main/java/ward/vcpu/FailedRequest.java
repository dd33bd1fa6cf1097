package ward.vcpu;

/**
 * A device told the guest that it could not do what it was asked: its request met lost memory. No
 * vCPU is interrupted.
 *
 * @param device for people
 */
public record FailedRequest(String device) implements Injection {

  @Override
  public String toString() {
    return "failed request of the " + device;
  }
}
