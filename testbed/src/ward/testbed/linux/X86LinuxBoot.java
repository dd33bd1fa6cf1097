package ward.testbed.linux;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testbed.acpi.AcpiTables;
import ward.testbed.acpi.GhesMemory;
import ward.testbed.acpi.X86Machine;
import ward.vcpu.GhesLayout;
import ward.vcpu.KvmRegs;
import ward.vcpu.KvmSegment;
import ward.vcpu.KvmSegment.Flag;
import ward.vcpu.KvmSregs;
import ward.vcpu.KvmSregs.Register;
import ward.vcpu.SerialPort;
import ward.vcpu.VcpuStates;

/**
 * An x86-64 kernel as the boot protocol's 64-bit entry wants it. There is no firmware and no PCI.
 *
 * <pre>
 * 0x0_6000   global descriptor table
 * 0x0_7000   boot parameters
 * 0x0_9000   page tables: the first 4 GiB, each address to itself
 * 0x2_0000   command line
 * 0xd_0000   an error source, if the kernel is to poll one
 * 0xe_0000   ACPI tables
 * 0x100_0000 the kernel, where it prefers to be
 *            the initial file system, at the end
 * </pre>
 *
 * @see <a href="https://docs.kernel.org/arch/x86/boot.html">The Linux/x86 Boot Protocol, section
 *     "64-bit Boot Protocol"</a>
 */
final class X86LinuxBoot implements LinuxBoot {

  /** No looking for PCI; a way to reboot, after a panic, that needs no device: a triple fault. */
  private static final String PARAMETERS = " pci=off reboot=t";

  private static final long MIB = 1 << 20;
  private static final long LOW_BYTES = 640 << 10;
  private static final int GDT = 0x6000;
  private static final int BOOT_PARAMETERS = 0x7000;
  private static final int PML4 = 0x9000;
  private static final int PDPT = 0xa000;
  private static final int PAGE_DIRECTORIES = 0xb000;
  private static final int COMMAND_LINE_ADDRESS = 0x20000;
  private static final int GHES = 0xd0000;
  private static final int ACPI = 0xe0000;

  private static final int GIBIBYTES_MAPPED = 4;
  private static final int TABLE_ENTRIES = 512;
  private static final long PRESENT_WRITABLE = 3;
  private static final long LARGE = 1 << 7;
  private static final int LARGE_SHIFT = 21;

  private static final int CODE_SELECTOR = 0x10;
  private static final int DATA_SELECTOR = 0x18;
  private static final int TSS_SELECTOR = 0x20;
  private static final long CODE_DESCRIPTOR = 0x00af9a000000ffffL;
  private static final long DATA_DESCRIPTOR = 0x00cf92000000ffffL;
  private static final int GDT_BYTES = 0x30;
  private static final int TYPE_CODE = 11;
  private static final int TYPE_DATA = 3;
  private static final int TYPE_BUSY_TSS = 11;
  private static final int TSS_BYTES = 0x68;

  private static final long CR0_PE_ET_NE_WP_PG = 0x80010031L;
  private static final long CR4_PAE = 1 << 5;
  private static final long EFER_LME_LMA = 0x500;
  private static final long APIC_BASE_ENABLED_BOOT_PROCESSOR = 0xfee00900L;
  private static final long RFLAGS_RESERVED = 2;

  private final BzImage kernel;
  private final long initialFiles;
  private final GhesMemory ghes;
  private final List<Piece> pieces;

  /**
   * @param ram from 0 on
   * @param files a cpio archive
   * @param polled whether there is an error source that the kernel polls
   */
  X86LinuxBoot(GuestRegion ram, BzImage kernel, byte[] files, String commandLine, boolean polled) {
    GhesMemory one = GhesMemory.ofX86(GHES);
    this.ghes = polled ? one : one.withoutPolled();
    this.kernel = kernel;
    this.initialFiles = Pages.align(ram.endAddress() - files.length);
    this.pieces =
        List.of(
            new Piece(GDT, descriptors()),
            new Piece(BOOT_PARAMETERS, bootParameters(ram, files.length)),
            new Piece(PML4, pageTables()),
            new Piece(
                COMMAND_LINE_ADDRESS,
                (commandLine + PARAMETERS + "\0").getBytes(StandardCharsets.US_ASCII)),
            new Piece(GHES, ghes.toBytes()),
            new Piece(ACPI, AcpiTables.ofX86(new X86Machine(1), ghes.layout(), ACPI).toBytes()),
            new Piece(kernel.preferredAddress(), kernel.compressedKernel()),
            new Piece(initialFiles, files));
  }

  @Override
  public List<Piece> pieces() {
    return pieces;
  }

  @Override
  public String architecture() {
    return VcpuStates.X86_64;
  }

  @Override
  public Map<String, byte[]> machine() {
    return Map.of(
        SerialPort.SECTION, SerialPort.reset(), GhesLayout.SECTION, ghes.layout().toBytes());
  }

  @Override
  public Map<String, byte[]> vcpu() {
    return Map.of(
        KvmRegs.SECTION, registers().toBytes(), KvmSregs.SECTION, specialRegisters().toBytes());
  }

  private byte[] bootParameters(GuestRegion ram, int initialFilesBytes) {
    BootParameters parameters = new BootParameters(kernel);
    parameters.commandLine(COMMAND_LINE_ADDRESS);
    parameters.ramDisk(initialFiles, initialFilesBytes);
    parameters.ram(0, LOW_BYTES);
    parameters.reserved(GHES, MIB);
    parameters.ram(MIB, ram.lengthBytes());
    return parameters.bytes();
  }

  private static byte[] descriptors() {
    ByteBuffer table = ByteBuffer.allocate(GDT_BYTES).order(ByteOrder.LITTLE_ENDIAN);
    table.putLong(CODE_SELECTOR, CODE_DESCRIPTOR);
    table.putLong(DATA_SELECTOR, DATA_DESCRIPTOR);
    return table.array();
  }

  private static byte[] pageTables() {
    ByteBuffer tables =
        ByteBuffer.allocate(PAGE_DIRECTORIES - PML4 + GIBIBYTES_MAPPED * Pages.SIZE_BYTES)
            .order(ByteOrder.LITTLE_ENDIAN);
    tables.putLong(PDPT | PRESENT_WRITABLE);
    for (int i = 0; i < GIBIBYTES_MAPPED; i++) {
      long directory = PAGE_DIRECTORIES + Pages.bytes(i);
      tables.putLong(PDPT - PML4 + i * Long.BYTES, directory | PRESENT_WRITABLE);
    }
    tables.position(PAGE_DIRECTORIES - PML4);
    for (long i = 0; i < GIBIBYTES_MAPPED * TABLE_ENTRIES; i++) {
      tables.putLong(i << LARGE_SHIFT | LARGE | PRESENT_WRITABLE);
    }
    return tables.array();
  }

  private KvmRegs registers() {
    KvmRegs registers = new KvmRegs();
    registers.rip(kernel.entry());
    registers.rsi(BOOT_PARAMETERS);
    registers.rflags(RFLAGS_RESERVED);
    return registers;
  }

  private static KvmSregs specialRegisters() {
    KvmSregs registers = new KvmSregs();
    registers.segment(
        Register.CS, new KvmSegment(0, -1, CODE_SELECTOR, TYPE_CODE, 0, Flag.S, Flag.L, Flag.G));
    for (Register register :
        List.of(Register.DS, Register.ES, Register.FS, Register.GS, Register.SS)) {
      registers.segment(
          register, new KvmSegment(0, -1, DATA_SELECTOR, TYPE_DATA, 0, Flag.S, Flag.DB, Flag.G));
    }
    registers.segment(
        Register.TR, new KvmSegment(0, TSS_BYTES - 1, TSS_SELECTOR, TYPE_BUSY_TSS, 0));
    registers.gdt(GDT, GDT_BYTES - 1);
    registers.cr0(CR0_PE_ET_NE_WP_PG);
    registers.cr3(PML4);
    registers.cr4(CR4_PAE);
    registers.efer(EFER_LME_LMA);
    registers.apicBase(APIC_BASE_ENABLED_BOOT_PROCESSOR);
    return registers;
  }
}
