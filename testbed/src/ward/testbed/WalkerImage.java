package ward.testbed;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.util.List;
import ward.memory.PageSet;
import ward.vcpu.VcpuStates;

/** The walker's own pages and its vCPUs, for one architecture. */
interface WalkerImage {

  int VCPUS_MAX = 64;

  /** All of the image, by page index. */
  PageSet pages();

  /** The pages that the program writes, one for each vCPU; none where it writes nothing. */
  List<Long> stackPages();

  /**
   * @param orders for each vCPU the page indexes it reads, in order
   * @return what belongs into the memory file, at the buffer's position
   */
  ByteBuffer write(List<long[]> orders) throws IOException;

  /** The vCPUs at the program's first instruction. */
  VcpuStates states();
}
