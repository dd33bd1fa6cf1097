package ward.vcpu;

import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Proxy;
import java.util.List;
import java.util.concurrent.CopyOnWriteArrayList;
import ward.kernel.Ioctl;
import ward.kernel.Kernel;

/** The real kernel, with a list of the requests it was sent. */
final class RecordingKernel {

  private final List<String> requests = new CopyOnWriteArrayList<>();
  private final Kernel kernel;

  RecordingKernel(Kernel real) {
    this.kernel =
        (Kernel)
            Proxy.newProxyInstance(
                Kernel.class.getClassLoader(),
                new Class<?>[] {Kernel.class},
                (proxy, method, arguments) -> {
                  if (method.getName().equals("ioctl")) {
                    requests.add(((Ioctl) arguments[1]).name());
                  }
                  try {
                    return method.invoke(real, arguments);
                  } catch (InvocationTargetException e) {
                    throw e.getCause();
                  }
                });
  }

  Kernel kernel() {
    return kernel;
  }

  long count(String request) {
    return requests.stream().filter(request::equals).count();
  }
}
