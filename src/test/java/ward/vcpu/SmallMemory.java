package ward.vcpu;

import java.util.List;
import ward.guest.GuestMemory;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;

/** Sixteen pages at GPA 0 and sixteen at 4 GiB, by address only: nothing is mapped. */
final class SmallMemory {

  static final long REGION_BYTES = 0x10000;
  static final long HIGH_GPA = 4L << 30;
  static final long LOW_HVA = 0x7f0000000000L;
  static final long HIGH_HVA = 0x7f0000100000L;

  private SmallMemory() {}

  static GuestMemory of() {
    GuestLayout layout =
        new GuestLayout(
            "small",
            List.of(
                new GuestRegion(0, REGION_BYTES, 0),
                new GuestRegion(HIGH_GPA, REGION_BYTES, REGION_BYTES)));
    return new GuestMemory(layout, new long[] {LOW_HVA, HIGH_HVA});
  }
}
