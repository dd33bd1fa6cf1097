package ward.testing;

import java.util.Optional;
import org.junit.jupiter.api.extension.ConditionEvaluationResult;
import org.junit.jupiter.api.extension.ExecutionCondition;
import org.junit.jupiter.api.extension.ExtensionContext;
import org.junit.platform.commons.support.AnnotationSupport;

/** Skips a test whose device is missing, and fails it where the device should be there. */
final class DeviceCondition implements ExecutionCondition {

  @Override
  public ConditionEvaluationResult evaluateExecutionCondition(ExtensionContext context) {
    Device device =
        AnnotationSupport.findAnnotation(context.getRequiredTestClass(), RequiresDevice.class)
            .map(RequiresDevice::value)
            .orElseThrow();
    Optional<String> refusal = device.refusal();
    if (refusal.isEmpty()) {
      return ConditionEvaluationResult.enabled("the device is usable");
    }
    if (device.isExpected()) {
      throw new IllegalStateException(
          "this machine has the device, so the test may not be skipped: " + refusal.get());
    }
    return ConditionEvaluationResult.disabled(refusal.get());
  }
}
