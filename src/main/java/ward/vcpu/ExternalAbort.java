package ward.vcpu;

import java.util.OptionalLong;

/**
 * A synchronous external abort as an arm64 guest's handler finds it, Arm Architecture Reference
 * Manual, "ESR_EL1" and "FAR_EL1".
 *
 * @param esr ESR_EL1
 * @param far FAR_EL1: the guest-virtual address of the access; empty where ESR_EL1.FnV says that it
 *     holds none
 * @param vector the exception vector that the guest stands at, guest-virtual
 */
public record ExternalAbort(long esr, OptionalLong far, long vector) implements Injection {

  @Override
  public String toString() {
    return "external abort esr 0x%x far %s at vector 0x%x"
        .formatted(esr, far.isPresent() ? "0x%x".formatted(far.getAsLong()) : "not valid", vector);
  }
}
