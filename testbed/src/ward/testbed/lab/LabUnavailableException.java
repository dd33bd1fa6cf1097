package ward.testbed.lab;

import java.io.IOException;

/** This machine cannot have the lab: packages or programs cannot be had. Says which, and why. */
final class LabUnavailableException extends IOException {

  private static final long serialVersionUID = 1;

  LabUnavailableException(String message) {
    super(message);
  }

  LabUnavailableException(String message, Throwable cause) {
    super(message, cause);
  }
}
