package ward.vcpu;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import jnr.constants.platform.Errno;
import ward.kernel.KernelCallException;

/**
 * What a GICv3 without message interrupts holds, as attributes of KVM's device
 * (Documentation/virt/kvm/devices/arm-vgic-v3.rst), in the order in which they are restored.
 *
 * <p>As bytes, each is its group and size (32 bits each), its attribute and its value (64 bits
 * each), all little-endian.
 */
final class Arm64InterruptState {

  static final String SECTION = "kvm_vgic_v3";
  static final int ENTRY_BYTES = 24;

  static final int GROUP_DISTRIBUTOR = 1;
  static final int GROUP_REDISTRIBUTOR = 5;
  static final int GROUP_CPU = 6;
  static final int GROUP_LEVELS = 7;

  /** Of the vCPU in an attribute. */
  static final int AFFINITY_SHIFT = 32;

  static final int LEVELS_SHIFT = 10;
  static final int LEVELS_OF_LINES = 0;

  private static final int WORD = Integer.BYTES;
  private static final int OWN_INTERRUPTS = 32;

  private static final int IMPLEMENTER = 0x8;
  private static final int CONTROL = 0x0;

  /** Registers with one bit for each interrupt: group, enabled, pending, active. */
  private static final int[] BITMAPS = {0x80, 0x100, 0x200, 0x300};

  private static final int PRIORITIES = 0x400;
  private static final int CONFIGURATIONS = 0xc00;
  private static final int ROUTES = 0x6000;
  private static final int WAKER = 0x14;

  /** The second frame of a redistributor. */
  private static final int OWN_FRAME = 0x10000;

  /** ICC_PMR, BPR0, AP0R0, AP1R0, BPR1, CTLR, SRE, IGRPEN0, IGRPEN1: CRn, CRm, op2. */
  private static final int[][] CPU_REGISTERS = {
    {12, 12, 5},
    {12, 12, 4},
    {4, 6, 0},
    {12, 8, 3},
    {12, 8, 4},
    {12, 9, 0},
    {12, 12, 3},
    {12, 12, 6},
    {12, 12, 7}
  };

  /** One attribute; the value comes with the device. */
  record Entry(int group, int sizeBytes, long attribute) {}

  private final KvmDevice controller;
  private final List<Entry> entries;

  Arm64InterruptState(KvmDevice controller, int interrupts, int vcpus) {
    this.controller = controller;
    this.entries = entries(interrupts, vcpus);
  }

  /** All that a controller of so many interrupts and vCPUs holds. */
  static List<Entry> entries(int interrupts, int vcpus) {
    List<Entry> entries = new ArrayList<>();
    addDistributor(entries, interrupts);
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      addRedistributor(entries, affinity(vcpu));
    }
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      addCpu(entries, affinity(vcpu));
    }
    return entries;
  }

  /** As KVM numbers its vCPUs: 16 in a cluster. */
  private static long affinity(int vcpu) {
    return (long) (vcpu & 0xf | vcpu >> 4 << 8) << AFFINITY_SHIFT;
  }

  private static void addDistributor(List<Entry> entries, int interrupts) {
    add(entries, GROUP_DISTRIBUTOR, IMPLEMENTER, WORD);
    add(entries, GROUP_DISTRIBUTOR, CONTROL, WORD);
    for (int first = OWN_INTERRUPTS; first < interrupts; first++) {
      add(entries, GROUP_DISTRIBUTOR, ROUTES + 8L * first, WORD);
      add(entries, GROUP_DISTRIBUTOR, ROUTES + 8L * first + WORD, WORD);
    }
    for (int at = OWN_INTERRUPTS; at < interrupts; at += 4) {
      add(entries, GROUP_DISTRIBUTOR, PRIORITIES + at, WORD);
    }
    for (int at = OWN_INTERRUPTS; at < interrupts; at += 16) {
      add(entries, GROUP_DISTRIBUTOR, CONFIGURATIONS + at / 4, WORD);
    }
    for (int at = OWN_INTERRUPTS; at < interrupts; at += 32) {
      add(entries, GROUP_LEVELS, LEVELS_OF_LINES << LEVELS_SHIFT | at, WORD);
      for (int bitmap : BITMAPS) {
        add(entries, GROUP_DISTRIBUTOR, bitmap + at / 8, WORD);
      }
    }
  }

  private static void addRedistributor(List<Entry> entries, long affinity) {
    add(entries, GROUP_REDISTRIBUTOR, affinity | CONTROL, WORD);
    add(entries, GROUP_REDISTRIBUTOR, affinity | WAKER, WORD);
    for (int at = 0; at < OWN_INTERRUPTS; at += 4) {
      add(entries, GROUP_REDISTRIBUTOR, affinity | OWN_FRAME + PRIORITIES + at, WORD);
    }
    add(entries, GROUP_REDISTRIBUTOR, affinity | OWN_FRAME + CONFIGURATIONS + WORD, WORD);
    add(entries, GROUP_LEVELS, affinity | LEVELS_OF_LINES << LEVELS_SHIFT, WORD);
    for (int bitmap : BITMAPS) {
      add(entries, GROUP_REDISTRIBUTOR, affinity | OWN_FRAME + bitmap, WORD);
    }
  }

  private static void addCpu(List<Entry> entries, long affinity) {
    for (int[] register : CPU_REGISTERS) {
      long number = 3 << 14 | register[0] << 7 | register[1] << 3 | register[2];
      add(entries, GROUP_CPU, affinity | number, Long.BYTES);
    }
  }

  private static void add(List<Entry> entries, int group, long attribute, int sizeBytes) {
    entries.add(new Entry(group, sizeBytes, attribute));
  }

  /** The section. */
  byte[] save() throws KernelCallException {
    ByteBuffer bytes = ByteBuffer.allocate(entries.size() * ENTRY_BYTES);
    bytes.order(ByteOrder.LITTLE_ENDIAN);
    for (Entry entry : entries) {
      bytes.putInt(entry.group()).putInt(entry.sizeBytes()).putLong(entry.attribute());
      byte[] value = controller.get(entry.group(), entry.attribute(), entry.sizeBytes());
      int end = bytes.position() + Long.BYTES;
      bytes.put(value).position(end);
    }
    return bytes.array();
  }

  /**
   * @throws IOException if the section names what such a controller does not hold, or KVM does not
   *     take it
   */
  void restore(byte[] section) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(section).order(ByteOrder.LITTLE_ENDIAN);
    while (bytes.hasRemaining()) {
      int group = bytes.getInt();
      int sizeBytes = bytes.getInt();
      Entry entry = new Entry(group, sizeBytes, bytes.getLong());
      byte[] value = new byte[Long.BYTES];
      bytes.get(value);
      if (!entries.contains(entry)) {
        throw new IOException(
            "section %s: there is no attribute 0x%x of group %d with %d bytes"
                .formatted(SECTION, entry.attribute(), group, sizeBytes));
      }
      set(entry, Arrays.copyOf(value, sizeBytes));
    }
  }

  private void set(Entry entry, byte[] value) throws IOException {
    try {
      controller.set(entry.group(), entry.attribute(), value);
    } catch (KernelCallException e) {
      if (e.is(Errno.EINVAL)) {
        throw new UnsupportedKvmException(
            "this host's interrupt controller does not take attribute 0x%x of group %d as the guest has it: use a host with a kernel that is not older"
                .formatted(entry.attribute(), entry.group()));
      }
      throw e;
    }
  }
}
