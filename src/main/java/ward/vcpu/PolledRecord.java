package ward.vcpu;

/** A warning in an error source that the guest polls; nothing interrupts the guest. */
public record PolledRecord() implements Injection {

  @Override
  public String toString() {
    return "record for the guest to poll";
  }
}
