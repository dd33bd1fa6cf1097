package ward.memory;

import com.sun.management.HotSpotDiagnosticMXBean;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;

/**
 * What a JVM gives to buffers outside its heap, {@link java.nio.ByteBuffer#allocateDirect}.
 *
 * @param limitBytes all that it may give: {@code -XX:MaxDirectMemorySize}, or as much as the heap
 *     may become
 * @param usedBytes what it has given
 * @see <a href="https://docs.oracle.com/en/java/javase/17/docs/specs/man/java.html">java,
 *     -XX:MaxDirectMemorySize</a>
 */
public record DirectMemory(long limitBytes, long usedBytes) {

  /** Looked up once: that alone takes some 100 ms. */
  private static final class OfThisProcess {
    static final long LIMIT_BYTES = limit();
    static final BufferPoolMXBean POOL =
        ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class).stream()
            .filter(pool -> pool.getName().equals("direct"))
            .findFirst()
            .orElseThrow();

    private static long limit() {
      HotSpotDiagnosticMXBean machine =
          ManagementFactory.getPlatformMXBean(HotSpotDiagnosticMXBean.class);
      long set = Long.parseLong(machine.getVMOption("MaxDirectMemorySize").getValue());
      return set == 0 ? Runtime.getRuntime().maxMemory() : set;
    }
  }

  /** Of this JVM, at present. The first call takes some 100 ms. */
  public static DirectMemory now() {
    return new DirectMemory(OfThisProcess.LIMIT_BYTES, OfThisProcess.POOL.getTotalCapacity());
  }
}
