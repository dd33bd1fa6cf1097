package ward.uffd;

import static org.assertj.core.api.Assertions.assertThat;

import jnr.constants.platform.Errno;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import ward.kernel.Fd;
import ward.kernel.KernelCallException;
import ward.kernel.Linux;
import ward.kernel.NativeKernel;
import ward.kernel.NativeMemory;
import ward.kernel.SignalInfo;
import ward.memory.Pages;
import ward.testing.RequiresUserfaultfd;

/**
 * Why lost pages are not marked by a userfaultfd with UFFD_FEATURE_SIGBUS: whoever touches such a
 * page is told the same as with {@link MarkerKind#SIGBUS}, but only while the descriptor is open.
 */
@RequiresUserfaultfd
@Timeout(60)
class SigbusFeatureKernelTest {

  private static final int EFAULT = -Errno.EFAULT.intValue();
  private static final int PAGE = Pages.SIZE_BYTES;

  private final NativeKernel kernel = NativeKernel.load();
  private long byFeature;
  private long byMapping;
  private Fd feature;

  @BeforeEach
  void markAPageInEachWay() throws Exception {
    byFeature = kernel.mapAnonymous(PAGE);
    byMapping = kernel.mapAnonymous(PAGE);
    feature = Descriptor.open(kernel);
    NativeMemory api = NativeMemory.allocate(Handshake.SIZE_BYTES);
    api.putLong(Handshake.API_OFFSET, Handshake.API);
    api.putLong(Handshake.FEATURES, Feature.SIGBUS.bit());
    assertThat(kernel.ioctl(feature, Handshake.REQUEST, api)).isZero();
    Registration.add(kernel, feature, byFeature, PAGE, Registration.MISSING, MarkerKind.SIGBUS);
    try (PoisonMarker marker = new PoisonMarkers(kernel).open(MarkerKind.SIGBUS);
        Userfaultfd watcher = Userfaultfd.open(kernel, marker)) {
      watcher.register(byMapping, PAGE);
      assertThat(watcher.poison(byMapping, PAGE).outcome()).isEqualTo(FillResult.Outcome.COMPLETED);
    }
  }

  @AfterEach
  void unmap() {
    feature.close();
    kernel.unmap(byFeature, PAGE);
    kernel.unmap(byMapping, PAGE);
  }

  /** What four ways of reaching a page are told. */
  private record Told(int load, int signalCode, long copy, int probe) {}

  private Told toldAt(long page) {
    SignalInfo fault = new SignalInfo();
    NativeMemory word = NativeMemory.allocate(Long.BYTES);
    int load = kernel.fold(page, Long.BYTES, word, fault);
    long copy = kernel.copy(word.address(), page, Long.BYTES);
    int probe = kernel.advise(page, PAGE, Linux.MADV_POPULATE_READ);
    return new Told(load, fault.code(), copy, probe);
  }

  @Test
  void whoeverTouchesThePageIsToldTheSame() {
    assertThat(toldAt(byFeature)).isEqualTo(new Told(EFAULT, Linux.BUS_ADRERR, EFAULT, EFAULT));
    assertThat(toldAt(byMapping)).isEqualTo(toldAt(byFeature));
  }

  @Test
  void withoutTheDescriptorOnlyTheMappingStays() throws KernelCallException {
    feature.close();

    assertThat(toldAt(byFeature).copy()).isEqualTo(Long.BYTES); // zeros
    assertThat(toldAt(byMapping).copy()).isEqualTo(EFAULT);
  }
}
