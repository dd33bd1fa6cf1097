package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.tuple;

import java.io.IOException;
import java.lang.reflect.Proxy;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.concurrent.CountDownLatch;
import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import ward.kernel.Kernel;

@Timeout(30)
class CopyDeviceTest {

  private static final long SETTLE_MILLIS = 10_000;
  private static final long EFAULT = -Errno.EFAULT.longValue();

  private final RecordedErrors errors = new RecordedErrors();
  private final List<String> failures = new ArrayList<>();
  private final List<Long> copiedTo = new ArrayList<>();
  private final CountDownLatch pageIsThere = new CountDownLatch(1);
  private boolean pageIsMissing;
  private long copied = 4096;
  private int populated;
  private final CopyDevice device = device(errors);

  private CopyDevice device(MemoryErrors books) {
    return new CopyDevice(kernel(), SmallMemory.of(), books, failures::add);
  }

  private Kernel kernel() {
    return (Kernel)
        Proxy.newProxyInstance(
            Kernel.class.getClassLoader(),
            new Class<?>[] {Kernel.class},
            (proxy, method, arguments) ->
                switch (method.getName()) {
                  case "copy" -> copy((long) arguments[0]);
                  case "advise" -> populated;
                  default -> throw new UnsupportedOperationException(method.getName());
                });
  }

  private long copy(long to) throws InterruptedException {
    if (pageIsMissing) {
      pageIsThere.await();
    }
    copiedTo.add(to);
    return copied;
  }

  @AfterEach
  void stop() {
    pageIsThere.countDown();
    assertThat(device.stop(SETTLE_MILLIS)).isTrue();
  }

  private static void ask(CopyDevice device, long gpa, int command) {
    for (int i = 0; i < Long.BYTES; i++) {
      device.write(i, (int) (gpa >>> Byte.SIZE * i) & 0xff);
    }
    device.write(CopyDevice.COMMAND, command);
  }

  private int answer(long gpa, int command) {
    ask(device, gpa, command);
    assertThat(device.settle(SETTLE_MILLIS)).isTrue();
    return device.read(CopyDevice.STATUS);
  }

  @Test
  void aHealthyPageIsCopiedEitherWay() {
    assertThat(device.read(CopyDevice.STATUS)).isEqualTo(CopyDevice.IDLE);

    assertThat(answer(SmallMemory.HIGH_GPA + 0x3000, CopyDevice.PAGE_INTO_BUFFER))
        .isEqualTo(CopyDevice.DONE);
    assertThat(answer(SmallMemory.HIGH_GPA + 0x3000, CopyDevice.BUFFER_INTO_PAGE))
        .isEqualTo(CopyDevice.DONE);

    assertThat(copiedTo).hasSize(2).last().isEqualTo(SmallMemory.HIGH_HVA + 0x3000);
    assertThat(errors.events()).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"1", "2"})
  void aLossThatNobodyKnewIsWrittenDownOnceTheHostCallsItOne(int command) {
    copied = EFAULT;
    populated = -Errno.EHWPOISON.intValue();

    assertThat(answer(0x2000, command)).isEqualTo(CopyDevice.FAILED);

    assertThat(errors.consumed())
        .extracting(MemoryError::input, MemoryError::place, MemoryError::vcpu)
        .containsExactly(tuple(MemoryError.Input.DEVICE_COPY, "GPA 0x2000", CopyDevice.NO_VCPU));
    assertThat(errors.injected())
        .extracting(MemoryErrorEvent::injection)
        .containsExactly(new FailedRequest("copying device"));
  }

  @Test
  void aKnownLossIsOneWithoutAsking() {
    errors.know(0x2000);
    copied = EFAULT;
    populated = -Errno.EFAULT.intValue();

    assertThat(answer(0x2000, CopyDevice.PAGE_INTO_BUFFER)).isEqualTo(CopyDevice.FAILED);

    assertThat(errors.consumed()).hasSize(1);
  }

  @Test
  void whatCannotBeReachedButIsNotLostFailsTheRequestOnly() {
    copied = EFAULT;
    populated = -Errno.EFAULT.intValue();

    assertThat(answer(0x2000, CopyDevice.PAGE_INTO_BUFFER)).isEqualTo(CopyDevice.FAILED);

    assertThat(errors.events()).isEmpty();
    assertThat(failures).isEmpty();
  }

  @ParameterizedTest
  @CsvSource({"2001, 1", "10000, 1", "2000, 3", "2000, 0"})
  void aRequestThatMakesNoSenseFailsAtOnce(String gpa, int command) {
    assertThat(answer(Long.parseLong(gpa, 16), command)).isEqualTo(CopyDevice.FAILED);

    assertThat(copiedTo).isEmpty();
  }

  @Test
  void theGuestSeesTheDeviceBusyWhileItWaitsForAPageAndItTakesNoOtherRequest() {
    pageIsMissing = true;
    ask(device, 0x2000, CopyDevice.BUFFER_INTO_PAGE);
    assertThat(device.read(CopyDevice.STATUS)).isEqualTo(CopyDevice.BUSY);
    ask(device, 0x3000, CopyDevice.BUFFER_INTO_PAGE);
    assertThat(device.settle(1)).isFalse();

    pageIsThere.countDown();

    assertThat(device.settle(SETTLE_MILLIS)).isTrue();
    assertThat(copiedTo).containsExactly(SmallMemory.LOW_HVA + 0x2000);
  }

  @Test
  void itsRegistersAndItsBufferGoOnElsewhere() throws Exception {
    byte[] saved = new byte[CopyDevice.STATE_BYTES];
    new Random(3).nextBytes(saved);
    Arrays.fill(saved, Long.BYTES, 2 * Long.BYTES, (byte) 0);
    saved[Long.BYTES] = CopyDevice.DONE;

    device.restore(saved);

    assertThat(device.read(CopyDevice.STATUS)).isEqualTo(CopyDevice.DONE);
    assertThat(device.state()).isEqualTo(saved);
    assertThat(answer(0x2000, CopyDevice.BUFFER_INTO_PAGE)).isEqualTo(CopyDevice.DONE);
    byte[] afterwards = saved.clone();
    ByteBuffer.wrap(afterwards).order(ByteOrder.LITTLE_ENDIAN).putLong(0x2000);
    assertThat(device.state()).isEqualTo(afterwards);
  }

  @Test
  void aRequestThatIsUnderWayIsNotSaved() {
    pageIsMissing = true;
    ask(device, 0x2000, CopyDevice.BUFFER_INTO_PAGE);

    assertThat(device.isBusy()).isTrue();
    assertThatThrownBy(device::state).isInstanceOf(IllegalStateException.class);
    pageIsThere.countDown();
    assertThat(device.settle(SETTLE_MILLIS)).isTrue();

    assertThat(device.isBusy()).isFalse();
    assertThat(device.state()[Long.BYTES]).isEqualTo((byte) CopyDevice.DONE);
  }

  @ParameterizedTest
  @CsvSource({"1", "4", "255"})
  void aStatusThatNoSettledDeviceHasIsRefused(int status) {
    byte[] saved = new byte[CopyDevice.STATE_BYTES];
    saved[Long.BYTES] = (byte) status;

    assertThatThrownBy(() -> device.restore(saved))
        .isInstanceOf(IOException.class)
        .hasMessage("section ward_copy_device has the status %d; 0, 2 and 3 are allowed", status);
  }

  @Test
  void aLossThatCannotBeWrittenDownEndsTheGuestBeforeItHearsOfIt() {
    MemoryErrors full =
        new MemoryErrors() {
          @Override
          public boolean isKnown(long guestPhysicalAddress) {
            return false;
          }

          @Override
          public void consumed(MemoryError error) throws IOException {
            throw new IOException("no space left for the ledger");
          }

          @Override
          public void injected(MemoryErrorEvent event) {
            throw new AssertionError("the guest heard of " + event);
          }
        };
    CopyDevice other = device(full);
    copied = EFAULT;
    populated = -Errno.EHWPOISON.intValue();

    ask(other, 0x2000, CopyDevice.PAGE_INTO_BUFFER);
    assertThat(other.stop(200)).as("the request is never answered").isFalse();

    assertThat(other.read(CopyDevice.STATUS)).isEqualTo(CopyDevice.BUSY);
    assertThat(failures)
        .containsExactly("the copying device cannot go on: no space left for the ledger");
  }
}
