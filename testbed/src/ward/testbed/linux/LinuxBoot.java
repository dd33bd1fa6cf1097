package ward.testbed.linux;

import java.util.List;
import java.util.Map;

/** A guest as a boot loader leaves it to a kernel: what is in its memory, and its one vCPU. */
interface LinuxBoot {

  /** What must be in memory; the rest is zeros. */
  List<Piece> pieces();

  /** As {@code ward.vcpu.VcpuStates} names architectures. */
  String architecture();

  /** Sections of the state of what is around the vCPU. */
  Map<String, byte[]> machine();

  /** Sections of the vCPU's state, before the kernel's first instruction. */
  Map<String, byte[]> vcpu();
}
