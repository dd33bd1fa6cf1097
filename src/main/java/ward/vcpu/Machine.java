package ward.vcpu;

import java.io.IOException;
import java.util.Map;

/**
 * What KVM emulates around a VM's vCPUs: interrupt controllers, timers, clocks.
 *
 * <p>Used while no vCPU runs, by one thread at a time. Closed before the VM.
 */
interface Machine extends AutoCloseable {

  /** Every one of so many vCPUs has been made; none has its state yet. */
  default void vcpusMade(int count) throws IOException {}

  /**
   * What the machine holds, as sections of {@link Architecture#machineFormat()}. Every vCPU has
   * been saved already, and stands outside KVM_RUN.
   */
  Map<String, byte[]> save() throws IOException;

  /**
   * Puts a state in, after every vCPU's. May not touch the guest's memory, which has no pages yet.
   *
   * @param sections as {@link #save()} wrote them, already held against the format; empty for a
   *     machine as it is after power-on
   */
  void restore(Map<String, byte[]> sections) throws IOException;

  @Override
  default void close() {}
}
