package ward.testbed;

import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.function.IntFunction;
import java.util.stream.IntStream;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.PageRun;
import ward.memory.PageSet;
import ward.memory.Pages;
import ward.vcpu.KvmRegs;
import ward.vcpu.KvmSegment;
import ward.vcpu.KvmSegment.Flag;
import ward.vcpu.KvmSregs;
import ward.vcpu.KvmSregs.Register;
import ward.vcpu.VcpuState;
import ward.vcpu.VcpuStates;

/**
 * The guest's own pages, from GPA 0x1000 on: tables, code, stacks, orders.
 *
 * <pre>
 * 0x1000  PML4     0x6000  code, interrupt stubs at +0x600   0x10000  stacks, a page each
 * 0x2000  PDPT     0x7000  parameters, 64 bytes each         then     page directories, one for
 * 0x3000  GDT      0x8000  TSSs, 512 bytes each                       each GiB with RAM
 * 0x4000  IDT                                                then     orders, u32 each
 * 0x5000  counters, 64 bytes each
 * </pre>
 *
 * <p>Every bit that a processor would set by itself is set already (accessed and dirty in tables
 * and descriptors, busy in TSSs), so a walk writes to nothing but a stack and the counters, where
 * it has some.
 */
final class X86WalkerImage implements WalkerImage {

  private static final int START = 0x1000;
  private static final int PML4 = 0x1000;
  private static final int PDPT = 0x2000;
  private static final int GDT = 0x3000;
  private static final int IDT = 0x4000;
  private static final int COUNTERS = 0x5000;
  private static final int CODE = 0x6000;
  private static final int STUBS = CODE + 0x600;
  private static final int STUB_BYTES = 16;
  private static final int PARAMETERS = 0x7000;
  private static final int PARAMETER_BYTES = 64;
  private static final int MORE_PARAMETERS = 32;
  private static final int TSS = 0x8000;
  private static final int TSS_STRIDE_BYTES = 512;

  /** Ports 0 to 0x53f are allowed; the permission map is followed by a byte of ones. */
  private static final int PORT_MAP = 104;

  private static final int PORT_MAP_BYTES = 0x540 / Byte.SIZE;
  private static final int TSS_BYTES = PORT_MAP + PORT_MAP_BYTES + 1;
  private static final int STACKS = 0x10000;

  private static final int EXCEPTIONS = 32;
  private static final int GIB_SHIFT = 30;
  private static final int LARGE_PAGE_SHIFT = 21;
  private static final int ENTRIES = 512;

  /** Present, writable, user, accessed. */
  private static final long TABLE_ENTRY = 0x27;

  /** And dirty, and large. */
  private static final long LARGE_PAGE_ENTRY = TABLE_ENTRY | 0xc0;

  private static final int KERNEL_CODE = 0x08;
  private static final int KERNEL_DATA = 0x10;
  private static final int USER_CODE = 0x1b;
  private static final int USER_DATA = 0x23;
  private static final int FIRST_TSS = 0x28;

  private static final int TYPE_CODE = 11;
  private static final int TYPE_DATA = 3;
  private static final int TYPE_BUSY_TSS = 11;
  private static final int INTERRUPT_GATE = 0x8e;

  /** PE, MP, ET, NE, WP, AM, PG. */
  private static final long CR0 = 0x80050033L;

  private static final long CR4_PAE = 1 << 5;

  /** SSE instructions are allowed. */
  private static final long CR4_OSFXSR = 1 << 9;

  /** LME, LMA. */
  private static final long EFER = 0x500;

  /** IOPL 3, and the bit that is always set. */
  private static final long RFLAGS = 0x3002;

  private static final long APIC_BASE = 0xfee00000L;
  private static final long APIC_ENABLED = 1 << 11;
  private static final long APIC_BOOT_PROCESSOR = 1 << 8;

  private final GuestLayout layout;
  private final int vcpus;
  private final Options options;
  private final ByteBuffer bytes;

  /**
   * @param program name of a source in {@code testbed/guest}, without its ending
   * @param ring 0 or 3
   * @param flags for the program
   * @param more parameters of a vCPU's program, after those that every program has
   * @param sections of every vCPU's state, beside its registers
   */
  record Options(
      String program,
      int ring,
      long flags,
      IntFunction<long[]> more,
      Map<String, byte[]> sections) {}

  X86WalkerImage(GuestLayout layout, int vcpus, Options options) {
    this.layout = layout;
    this.vcpus = vcpus;
    this.options = options;
    long end = orders() + layout.pageCount() * Integer.BYTES + (long) vcpus * Long.BYTES;
    if (end > layout.regions().get(0).lengthBytes()) {
      throw new IllegalArgumentException(
          "the guest's own pages end at 0x%x, above its low memory".formatted(end));
    }
    this.bytes = ByteBuffer.allocate((int) Pages.align(end + Pages.SIZE_BYTES - 1));
    bytes.order(ByteOrder.LITTLE_ENDIAN);
  }

  private int directories() {
    return STACKS + vcpus * Pages.SIZE_BYTES;
  }

  private int orders() {
    return directories() + directoryCount() * Pages.SIZE_BYTES;
  }

  private int directoryCount() {
    int count = 0;
    for (GuestRegion region : layout.regions()) {
      count += (int) (lastGib(region) - firstGib(region) + 1);
    }
    return count;
  }

  private static long firstGib(GuestRegion region) {
    return region.guestPhysicalAddress() >> GIB_SHIFT;
  }

  private static long lastGib(GuestRegion region) {
    return region.endAddress() - 1 >> GIB_SHIFT;
  }

  /** All of the image, by page index; the region at address 0 comes first in every layout. */
  @Override
  public PageSet pages() {
    PageSet pages = new PageSet();
    int first = START >> Pages.SHIFT;
    pages.add(new PageRun(first, (bytes.capacity() >> Pages.SHIFT) - first));
    return pages;
  }

  @Override
  public List<Long> stackPages() {
    return IntStream.range(0, vcpus).mapToObj(X86WalkerImage::stackPage).toList();
  }

  static long stackPage(int vcpu) {
    return (STACKS >> Pages.SHIFT) + vcpu;
  }

  private static int stackEnd(int vcpu) {
    return STACKS + (vcpu + 1) * Pages.SIZE_BYTES;
  }

  /** The image's bytes; the first belongs at GPA 0x1000. */
  @Override
  public ByteBuffer write(List<long[]> orders) throws IOException {
    writePageTables();
    writeDescriptors();
    writeInterruptTable();
    writeCode();
    writeParameters(orders);
    return bytes.duplicate().position(START);
  }

  private void writePageTables() {
    bytes.putLong(PML4, PDPT | TABLE_ENTRY);
    int directory = directories();
    for (GuestRegion region : layout.regions()) {
      for (long gib = firstGib(region); gib <= lastGib(region); gib++) {
        bytes.putLong(PDPT + (int) gib * Long.BYTES, directory | TABLE_ENTRY);
        writeDirectory(directory, gib, region);
        directory += Pages.SIZE_BYTES;
      }
    }
  }

  private void writeDirectory(int directory, long gib, GuestRegion region) {
    for (int i = 0; i < ENTRIES; i++) {
      long address = (gib << GIB_SHIFT) + ((long) i << LARGE_PAGE_SHIFT);
      if (region.contains(address)) {
        bytes.putLong(directory + i * Long.BYTES, address | LARGE_PAGE_ENTRY);
      }
    }
  }

  private void writeDescriptors() {
    bytes.putLong(GDT + KERNEL_CODE, 0x00af9b000000ffffL);
    bytes.putLong(GDT + KERNEL_DATA, 0x00cf93000000ffffL);
    bytes.putLong(GDT + (USER_CODE & ~3), 0x00affb000000ffffL);
    bytes.putLong(GDT + (USER_DATA & ~3), 0x00cff3000000ffffL);
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      writeTaskState(vcpu);
    }
  }

  private void writeTaskState(int vcpu) {
    long base = tss(vcpu);
    // Present, busy 64-bit TSS; a base below 2^24 leaves the upper half of the descriptor zero.
    bytes.putLong(GDT + tssSelector(vcpu), TSS_BYTES - 1 | base << 16 | 0x8bL << 40);
    bytes.putLong((int) base + 4, stackEnd(vcpu));
    // IOPL 3 alone does not do: a KVM that runs ring 3 without hardware support looks at the map.
    bytes.putShort((int) base + 102, (short) PORT_MAP);
    bytes.put((int) base + TSS_BYTES - 1, (byte) 0xff);
  }

  private static int tss(int vcpu) {
    return TSS + vcpu * TSS_STRIDE_BYTES;
  }

  private static int tssSelector(int vcpu) {
    return FIRST_TSS + 16 * vcpu;
  }

  private void writeInterruptTable() {
    for (int vector = 0; vector < EXCEPTIONS; vector++) {
      int gate = IDT + 16 * vector;
      bytes.putShort(gate, (short) (STUBS + STUB_BYTES * vector));
      bytes.putShort(gate + 2, (short) KERNEL_CODE);
      bytes.put(gate + 5, (byte) INTERRUPT_GATE);
    }
  }

  private void writeCode() throws IOException {
    String name = "/guest/" + options.program() + ".bin";
    try (InputStream binary = X86WalkerImage.class.getResourceAsStream(name)) {
      if (binary == null) {
        throw new IOException(
            "no %s on the class path; `make -C testbed/guest` makes it on x86-64".formatted(name));
      }
      bytes.put(CODE, binary.readAllBytes());
    }
  }

  private void writeParameters(List<long[]> orders) {
    int order = orders();
    for (int vcpu = 0; vcpu < vcpus; vcpu++) {
      long[] pages = orders.get(vcpu);
      int block = parameters(vcpu);
      bytes.putLong(block, order);
      bytes.putLong(block + 8, pages.length);
      bytes.putLong(block + 16, options.flags());
      bytes.putLong(block + 24, stackEnd(vcpu));
      long[] more = options.more().apply(vcpu);
      for (int i = 0; i < more.length; i++) {
        bytes.putLong(block + MORE_PARAMETERS + i * Long.BYTES, more[i]);
      }
      for (long page : pages) {
        bytes.putInt(order, (int) (layout.addressOf(page) >> Pages.SHIFT));
        order += Integer.BYTES;
      }
      order = (order + Long.BYTES - 1) & -Long.BYTES;
    }
  }

  /** The guest-physical address of a vCPU's counters, on a page that has nothing else. */
  static int counters(int vcpu) {
    return COUNTERS + vcpu * PARAMETER_BYTES;
  }

  static long countersPage() {
    return COUNTERS >> Pages.SHIFT;
  }

  /** The guest-physical address of a vCPU's parameters. */
  static int parameters(int vcpu) {
    return PARAMETERS + vcpu * PARAMETER_BYTES;
  }

  @Override
  public VcpuStates states() {
    return new VcpuStates(
        VcpuStates.X86_64, Map.of(), IntStream.range(0, vcpus).mapToObj(this::state).toList());
  }

  private VcpuState state(int vcpu) {
    KvmRegs registers = new KvmRegs();
    registers.rip(CODE);
    registers.rflags(RFLAGS);
    registers.rsp(stackEnd(vcpu));
    registers.rdi(parameters(vcpu));
    Map<String, byte[]> sections = new HashMap<>(options.sections());
    sections.put(KvmRegs.SECTION, registers.toBytes());
    sections.put(KvmSregs.SECTION, specialRegisters(vcpu, options.ring()).toBytes());
    return new VcpuState(vcpu, sections);
  }

  private static KvmSregs specialRegisters(int vcpu, int ring) {
    KvmSregs registers = new KvmSregs();
    int code = ring == 0 ? KERNEL_CODE : USER_CODE;
    int data = ring == 0 ? KERNEL_DATA : USER_DATA;
    registers.segment(
        Register.CS, new KvmSegment(0, -1, code, TYPE_CODE, ring, Flag.S, Flag.L, Flag.G));
    for (Register register :
        List.of(Register.DS, Register.ES, Register.FS, Register.GS, Register.SS)) {
      registers.segment(
          register, new KvmSegment(0, -1, data, TYPE_DATA, ring, Flag.S, Flag.DB, Flag.G));
    }
    registers.segment(
        Register.TR, new KvmSegment(tss(vcpu), TSS_BYTES - 1, tssSelector(vcpu), TYPE_BUSY_TSS, 0));
    registers.gdt(GDT, tssSelector(vcpu) + 15);
    registers.idt(IDT, EXCEPTIONS * 16 - 1);
    registers.cr0(CR0);
    registers.cr3(PML4);
    registers.cr4(CR4_PAE | CR4_OSFXSR | KvmSregs.CR4_MCE);
    registers.efer(EFER);
    registers.apicBase(APIC_BASE | APIC_ENABLED | (vcpu == 0 ? APIC_BOOT_PROCESSOR : 0));
    return registers;
  }
}
