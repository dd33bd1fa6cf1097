package ward.vcpu;

import java.util.List;
import java.util.Map;
import java.util.Optional;

/**
 * One vCPU of a paused guest.
 *
 * @param index from 0; on x86 also its APIC id
 * @param sections structs of KVM's interface by name, such as {@code kvm_regs}; which, the
 *     architecture says
 * @param waiting errors that the guest could not be told of yet, in order
 * @param unread the error that the guest was told of last, where the next one would wipe it out
 * @param off whether the guest has switched this vCPU off
 */
public record VcpuState(
    int index,
    Map<String, byte[]> sections,
    List<MemoryError> waiting,
    Optional<MemoryError> unread,
    boolean off) {

  public VcpuState {
    sections = Map.copyOf(sections);
    waiting = List.copyOf(waiting);
  }

  /** A vCPU whose guest has looked at every error that it was told of. */
  public VcpuState(
      int index, Map<String, byte[]> sections, List<MemoryError> waiting, boolean off) {
    this(index, sections, waiting, Optional.empty(), off);
  }

  /** A vCPU that is on, with nothing left to hear. */
  public VcpuState(int index, Map<String, byte[]> sections) {
    this(index, sections, List.of(), Optional.empty(), false);
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
