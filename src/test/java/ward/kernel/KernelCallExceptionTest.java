package ward.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import jnr.constants.platform.Errno;
import org.junit.jupiter.api.Test;

class KernelCallExceptionTest {

  @Test
  void namesTheCallItsSubjectAndTheErrno() {
    KernelCallException e = new KernelCallException("UFFDIO_COPY", "userfaultfd#3", 3);

    assertThat(e).hasMessage("UFFDIO_COPY on userfaultfd#3 failed: ESRCH (No such process)");
  }

  @Test
  void canBeAskedForItsErrno() {
    KernelCallException e = new KernelCallException("open", "/dev/kvm", Errno.EACCES.intValue());

    assertThat(e.errno()).isEqualTo(13);
    assertThat(e.is(Errno.EACCES)).isTrue();
    assertThat(e.is(Errno.EPERM)).isFalse();
  }

  @Test
  void showsTheNumberOfAnErrnoItCannotName() {
    KernelCallException e = new KernelCallException("open", "/dev/kvm", 4000);

    assertThat(e).hasMessage("open on /dev/kvm failed: errno 4000");
    assertThat(e.is(Errno.__UNKNOWN_CONSTANT__)).isFalse();
  }
}
