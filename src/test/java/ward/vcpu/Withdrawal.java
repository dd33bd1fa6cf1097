package ward.vcpu;

import java.io.IOException;
import ward.kernel.Kernel;
import ward.memory.Pages;
import ward.testing.LibC;

/** How a host's memory can be there no more without a word of why: KVM_RUN answers EFAULT. */
enum Withdrawal {
  PROTECTED {
    @Override
    void apply(GuestFixture fixture, Kernel kernel, long page) {
      LibC.protect(fixture.hostAddressOf(page), Pages.SIZE_BYTES, 0);
    }
  },
  UNMAPPED {
    @Override
    void apply(GuestFixture fixture, Kernel kernel, long page) {
      kernel.unmap(fixture.hostAddressOf(page), Pages.SIZE_BYTES);
    }
  },
  /** By a userfaultfd with {@code UFFD_FEATURE_SIGBUS}. */
  REFUSED {
    @Override
    void apply(GuestFixture fixture, Kernel kernel, long page) throws IOException {
      fixture.refuse(page);
    }
  };

  /** Takes a page away that is missing still. */
  abstract void apply(GuestFixture fixture, Kernel kernel, long page) throws IOException;
}
