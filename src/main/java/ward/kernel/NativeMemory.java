package ward.kernel;

import com.kenai.jffi.MemoryIO;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/**
 * A block of memory outside the Java heap which the kernel may read and write: an ioctl's struct, a
 * buffer of events, the shared page of a vCPU.
 *
 * <p>Never guest memory: a Java thread that loads from a page registered with userfaultfd stops
 * every safepoint of the JVM until the page arrives, and the thread that would fetch it waits at
 * that safepoint. {@code LawsTest} keeps this class away from the packages that know guest memory
 * by address.
 *
 * <p>Freed when unreachable. Offsets are bytes; numbers are in the machine's byte order.
 */
public final class NativeMemory {

  private final ByteBuffer bytes;
  private final long address;

  private NativeMemory(ByteBuffer bytes, long address) {
    this.bytes = bytes;
    this.address = address;
  }

  /** A new block of zeros. */
  public static NativeMemory allocate(int sizeBytes) {
    return of(ByteBuffer.allocateDirect(sizeBytes));
  }

  /** A view of a direct buffer's whole capacity. */
  public static NativeMemory of(ByteBuffer direct) {
    ByteBuffer view = direct.duplicate().clear().order(ByteOrder.nativeOrder());
    return new NativeMemory(view, MemoryIO.getInstance().getDirectBufferAddress(view));
  }

  /** A view of memory that the kernel mapped for us, such as {@code struct kvm_run}. */
  public static NativeMemory at(long address, int sizeBytes) {
    ByteBuffer view = MemoryIO.getInstance().newDirectByteBuffer(address, sizeBytes);
    return new NativeMemory(view.order(ByteOrder.nativeOrder()), address);
  }

  /**
   * The host-virtual address of the first byte. It does not keep the block alive: whoever gives it
   * to the kernel holds the block in a field, uses it afterwards, or ends the call with {@link
   * java.lang.ref.Reference#reachabilityFence}. Otherwise the kernel may write to freed memory.
   */
  public long address() {
    return address;
  }

  public int sizeBytes() {
    return bytes.capacity();
  }

  public long getLong(int offset) {
    return bytes.getLong(offset);
  }

  public void putLong(int offset, long value) {
    bytes.putLong(offset, value);
  }

  public int getInt(int offset) {
    return bytes.getInt(offset);
  }

  public void putInt(int offset, int value) {
    bytes.putInt(offset, value);
  }

  public short getShort(int offset) {
    return bytes.getShort(offset);
  }

  public void putShort(int offset, short value) {
    bytes.putShort(offset, value);
  }

  public byte getByte(int offset) {
    return bytes.get(offset);
  }

  public void putByte(int offset, byte value) {
    bytes.put(offset, value);
  }

  /** A copy of part of the block. */
  public byte[] getBytes(int offset, int lengthBytes) {
    byte[] copy = new byte[lengthBytes];
    bytes.get(offset, copy);
    return copy;
  }

  public void putBytes(int offset, byte[] source) {
    bytes.put(offset, source);
  }
}
