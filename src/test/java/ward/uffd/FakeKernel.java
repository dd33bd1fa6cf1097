package ward.uffd;

import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.kernel.Fd;
import ward.kernel.Ioctl;
import ward.kernel.KernelCallException;
import ward.kernel.NativeMemory;
import ward.testing.RefusingKernel;

/** A kernel whose answers are decided beforehand. Descriptors count up from 3. */
final class FakeKernel extends RefusingKernel {

  static final int ALL_FEATURES = 0x1ffff;
  static final int ORDINARY_MEMORY = 0x13c;

  /** What was done, in order: {@code UFFDIO_WAKE userfaultfd#4}. */
  final List<String> calls = new ArrayList<>();

  /** Names of the descriptors that are open now. */
  final List<String> open = new ArrayList<>();

  Errno userfaultfdErrno;
  Errno nodeErrno;
  Errno nodeIoctlErrno;
  Errno handshakeErrno;
  long offeredFeatures = ALL_FEATURES;
  long enabledFeatures;
  long rangeIoctls = ORDINARY_MEMORY;
  Errno rangeErrno;
  int populateReadAnswer;

  /** The argument of the last fill, as the kernel saw it. */
  byte[] fillArgument;

  /** The output field of the last fill, as the kernel found it. */
  long doneBefore;

  /** How many bytes the next copies copy, or {@code -errno}; null: all of them. */
  Long copyAnswer;

  private record Fill(int answer, long reported) {}

  private final Deque<Fill> fills = new ArrayDeque<>();
  private final Deque<Object> reads = new ArrayDeque<>();
  private int lastNumber = 2;

  /** The next fill is answered with an errno and this value in its output field. */
  void thenFill(Errno errno, long reported) {
    fills.add(new Fill(-errno.intValue(), reported));
  }

  /** The next fill is done. */
  void thenFill(long reported) {
    fills.add(new Fill(0, reported));
  }

  /** The next read fails. */
  void thenRead(Errno errno) {
    reads.add(errno);
  }

  /** The next read delivers these bytes. */
  void thenRead(byte[] messages) {
    reads.add(messages);
  }

  @Override
  public Fd open(String path, int flags) throws KernelCallException {
    refuse("open", path, nodeErrno);
    return adopt(++lastNumber, path);
  }

  @Override
  public Fd openUserfaultfd(int flags) throws KernelCallException {
    refuse("userfaultfd(2)", "this process", userfaultfdErrno);
    return adopt(++lastNumber, "userfaultfd");
  }

  private void refuse(String call, String subject, Errno errno) throws KernelCallException {
    calls.add(call);
    if (errno != null) {
      throw new KernelCallException(call, subject, errno.intValue());
    }
  }

  @Override
  public Fd adopt(int number, String name) {
    Fd fd = new Fd(name, number, closed -> open.remove(name + "#" + closed));
    open.add(fd.toString());
    return fd;
  }

  @Override
  public int ioctl(Fd fd, Ioctl request, long argument) {
    fd.number();
    calls.add(request + " " + fd);
    return switch (request.name()) {
      case "USERFAULTFD_IOC_NEW" -> nodeIoctlErrno == null ? ++lastNumber : minus(nodeIoctlErrno);
      case "UFFDIO_API" -> handshake(NativeMemory.at(argument, Handshake.SIZE_BYTES));
      case "UFFDIO_REGISTER" -> register(NativeMemory.at(argument, Registration.SIZE_BYTES));
      case "UFFDIO_UNREGISTER", "UFFDIO_WAKE" -> minus(rangeErrno);
      default -> fill(NativeMemory.at(argument, request.number() >> 16 & 0x3fff));
    };
  }

  private int handshake(NativeMemory argument) {
    enabledFeatures = argument.getLong(Handshake.FEATURES);
    argument.putLong(Handshake.FEATURES, offeredFeatures);
    return minus(handshakeErrno);
  }

  private int register(NativeMemory argument) {
    argument.putLong(Registration.IOCTLS, rangeIoctls);
    return minus(rangeErrno);
  }

  private int fill(NativeMemory argument) {
    int done = argument.sizeBytes() - Long.BYTES;
    fillArgument = argument.getBytes(0, done);
    doneBefore = argument.getLong(done);
    Fill fill = fills.remove();
    argument.putLong(done, fill.reported());
    return fill.answer();
  }

  @Override
  public long copy(long toAddress, long fromAddress, long lengthBytes) {
    calls.add("copy 0x%x 0x%x %d".formatted(toAddress, fromAddress, lengthBytes));
    return copyAnswer == null ? lengthBytes : copyAnswer;
  }

  private static int minus(Errno errno) {
    return errno == null ? 0 : -errno.intValue();
  }

  @Override
  public long read(Fd fd, long address, long lengthBytes) {
    Object next = reads.remove();
    if (next instanceof Errno errno) {
      return -errno.intValue();
    }
    byte[] messages = (byte[]) next;
    NativeMemory.at(address, (int) lengthBytes).putBytes(0, messages);
    return messages.length;
  }

  @Override
  public int advise(long address, long lengthBytes, int advice) {
    calls.add("madvise 0x%x %d %d".formatted(address, lengthBytes, advice));
    return populateReadAnswer;
  }
}
