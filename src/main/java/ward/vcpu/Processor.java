package ward.vcpu;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import ward.kernel.KernelCallException;

/**
 * One vCPU as its architecture sees it: its state, and how its guest hears of lost memory. Used by
 * the vCPU's own thread, or while that stands still.
 */
interface Processor {

  /**
   * What the vCPU holds, as sections of {@link Architecture#vcpuFormat()}. It stands outside
   * KVM_RUN, with no access half done.
   */
  Map<String, byte[]> save() throws IOException;

  /**
   * Puts a state in, all of it that does without the guest's memory, which has no pages yet.
   *
   * @throws IOException if KVM refuses a part of it
   */
  void restore(VcpuState state) throws IOException;

  /**
   * Puts in what KVM reads from the guest's memory or writes there at once. Called on the vCPU's
   * own thread before its first KVM_RUN, when whoever brings missing pages is at work.
   */
  default void restoreIntoMemory() throws IOException {}

  /** Lets the processor look into the guest's memory. Before the vCPU's thread starts. */
  default void attach(GuestBytes memory) {}

  /**
   * Ends the memory access for which KVM_RUN returned KVM_EXIT_MMIO so that the guest stands before
   * the instruction and has loaded nothing.
   *
   * @param memory the guest's
   */
  void undoPendingAccess(GuestBytes memory) throws KernelCallException;

  /** Makes the guest stand before the instruction that KVM could not emulate. */
  default void undoFailedEmulation() throws KernelCallException {}

  /** Where the guest's next instruction reaches; by default that is not known. */
  default AddressFinder addressFinder(GuestBytes memory) throws KernelCallException {
    return AddressFinder.NONE;
  }

  /**
   * Ends the guest's access, which reached nothing, by an abort as a bus gives it. Only on
   * architectures that have such aborts.
   */
  default void refuseAccess() throws KernelCallException {
    throw new IllegalStateException("this processor knows no bus abort");
  }

  /**
   * Tells the guest by an SError, which it takes when it lets such interrupts in. Only on
   * architectures that have them, and with no access half done.
   *
   * @param syndrome of ESR_EL1, bits 24:0; taken only where the processor has RAS, else what the
   *     guest reads is the processor's
   */
  default void injectSError(int syndrome) throws KernelCallException {
    throw new IllegalStateException("this processor knows no SError");
  }

  /** Why the guest cannot hear of this error now; empty if it can. */
  Optional<String> obstacle(MemoryError error) throws KernelCallException;

  /**
   * Does what the guest's memory must hold before the guest is told of an error that it consumed:
   * the record of its firmware. Only while there is no {@link #obstacle(MemoryError)}.
   *
   * @return whether the guest can be told now; if not, it runs on, and meets the same error again
   */
  default boolean prepare(MemoryError error) {
    return true;
  }

  /**
   * Tells the guest, which takes it as soon as it runs. Only while there is no {@link
   * #obstacle(MemoryError)}: the kernel does not refuse, it shuts the guest down.
   */
  Injection inject(MemoryError error) throws KernelCallException;

  /** Errors that were injected and that the guest cannot see yet, in order; from any thread. */
  default List<MemoryError> unseen() {
    return List.of();
  }

  /** Lets the guest see of {@link #unseen()} what it has room for. */
  default void show() {}

  /**
   * Whether the guest's other vCPUs are interrupted too when this one is told of an error, each by
   * an error of {@link MemoryError.Input#BROADCAST}.
   */
  default boolean interruptsAll() throws KernelCallException {
    return false;
  }

  /**
   * The error that the guest was told of last, if it has not looked at it yet and telling it of
   * another one would wipe it out.
   */
  default Optional<MemoryError> unread() throws KernelCallException {
    return Optional.empty();
  }

  /**
   * Takes the {@link #unread()} error back: the guest never hears of it from here on, and reads the
   * next one as if there had been none.
   */
  default Optional<MemoryError> withdrawUnread() throws KernelCallException {
    return Optional.empty();
  }

  /** Takes over what was {@link #unread()} on the host that the guest comes from. */
  default void inheritUnread(MemoryError error) {}
}
