package ward.vcpu;

import java.io.IOException;
import ward.guest.GuestMemory;
import ward.kernel.Fd;
import ward.kernel.Kernel;
import ward.kernel.Linux;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.testing.LibC;

/** What a test's guest memory is made of. Unmapped when the process ends. */
enum Backing {
  ANONYMOUS(1 << 12) {
    @Override
    GuestMemory map(Kernel kernel, GuestLayout layout) throws IOException {
      long[] addresses = new long[layout.regions().size()];
      for (int i = 0; i < addresses.length; i++) {
        addresses[i] = kernel.mapAnonymous(layout.regions().get(i).lengthBytes());
      }
      return new GuestMemory(layout, addresses);
    }
  },
  MEMFD(1 << 12) {
    @Override
    GuestMemory map(Kernel kernel, GuestLayout layout) throws IOException {
      try (Fd file = kernel.createMemfd("guest", layout.fileBytes())) {
        return mapFile(kernel, layout, file);
      }
    }
  },
  HUGE_PAGES(1 << 21) {
    @Override
    GuestMemory map(Kernel kernel, GuestLayout layout) throws IOException {
      try (Fd file = kernel.adopt(LibC.hugeMemfd(layout.fileBytes()), "huge pages")) {
        return mapFile(kernel, layout, file);
      }
    }
  };

  final int pageBytes;

  Backing(int pageBytes) {
    this.pageBytes = pageBytes;
  }

  abstract GuestMemory map(Kernel kernel, GuestLayout layout) throws IOException;

  private static GuestMemory mapFile(Kernel kernel, GuestLayout layout, Fd file)
      throws IOException {
    long[] addresses = new long[layout.regions().size()];
    for (int i = 0; i < addresses.length; i++) {
      GuestRegion region = layout.regions().get(i);
      addresses[i] =
          kernel.mapShared(
              file, region.fileOffset(), region.lengthBytes(), Linux.PROT_READ | Linux.PROT_WRITE);
    }
    return new GuestMemory(layout, addresses);
  }
}
