package ward.source;

import java.io.IOException;
import ward.guest.GuestMemory;

/** The memory that a source serves: where it is, and what tells it from any other. */
public interface ServedMemory {

  /** Where the regions are mapped in this process. */
  GuestMemory memory();

  /**
   * For a process that goes on after the death of this one: the same words again if it has the same
   * memory, and never otherwise on this host.
   *
   * @throws IOException if the kernel does not tell
   */
  String identity() throws IOException;

  /**
   * How many pages, from the first on, hold zeros because they were never written, and would take
   * up memory if they were read. From any thread.
   *
   * @param most of one region
   */
  default long emptyPages(long firstPage, long most) {
    return 0;
  }

  /** How many pages, from one on that is not empty, may be read before the next empty one. */
  default long filledPages(long firstPage, long most) {
    return most;
  }

  /** Memory of this process alone, which ends with it. */
  static ServedMemory ofThisProcess(GuestMemory memory) {
    ProcessHandle self = ProcessHandle.current();
    String identity =
        "memory of process %d, started at %s, and gone with it"
            .formatted(
                self.pid(), self.info().startInstant().map(Object::toString).orElse("no time"));
    return new ServedMemory() {
      @Override
      public GuestMemory memory() {
        return memory;
      }

      @Override
      public String identity() {
        return identity;
      }
    };
  }
}
