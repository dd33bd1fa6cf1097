package ward.vcpu;

import java.util.Map;

/**
 * One vCPU of a paused guest.
 *
 * @param index from 0; on x86 also its APIC id
 * @param sections structs of KVM's interface by name, such as {@code kvm_regs}; which, the
 *     architecture says
 */
public record VcpuState(int index, Map<String, byte[]> sections) {

  public VcpuState {
    sections = Map.copyOf(sections);
  }

  /**
   * The content of a section that the architecture requires.
   *
   * @throws IllegalStateException if it is not there, which parsing would have found
   */
  byte[] section(String name) {
    byte[] content = sections.get(name);
    if (content == null) {
      throw new IllegalStateException("vCPU %d lacks its section %s".formatted(index, name));
    }
    return content;
  }
}
