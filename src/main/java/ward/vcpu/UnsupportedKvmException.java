package ward.vcpu;

import java.io.IOException;

/** This host's KVM lacks something that Ward needs; the message names it. */
public final class UnsupportedKvmException extends IOException {

  public UnsupportedKvmException(String message) {
    super(message);
  }
}
