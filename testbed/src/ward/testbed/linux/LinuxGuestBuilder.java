package ward.testbed.linux;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.channels.FileChannel;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.memory.GuestLayout;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testbed.acpi.AcpiTables;
import ward.testbed.acpi.X86Machine;
import ward.vcpu.GhesLayout;
import ward.vcpu.KvmRegs;
import ward.vcpu.KvmSegment;
import ward.vcpu.KvmSegment.Flag;
import ward.vcpu.KvmSregs;
import ward.vcpu.KvmSregs.Register;
import ward.vcpu.SerialPort;
import ward.vcpu.VcpuState;
import ward.vcpu.VcpuStates;
import ward.vcpu.X86CpuModel;

/**
 * Puts a Linux kernel for x86-64 into a guest's memory as the boot protocol's 64-bit entry wants
 * it, with an initramfs and one vCPU. There is no firmware, no ACPI and no PCI; the console is the
 * first serial port.
 *
 * <pre>
 * 0x0_6000   global descriptor table
 * 0x0_7000   boot parameters
 * 0x0_9000   page tables: the first 4 GiB, each address to itself
 * 0x2_0000   command line
 * 0xe_0000   ACPI tables
 * 0x100_0000 the kernel, where it prefers to be
 *            the initramfs, at the end
 * </pre>
 *
 * @see <a href="https://docs.kernel.org/arch/x86/boot.html">The Linux/x86 Boot Protocol, section
 *     "64-bit Boot Protocol"</a>
 */
public final class LinuxGuestBuilder {

  /**
   * What each word is for: the console; few lines on it, since each byte costs an exit; the program
   * to run; no waiting after a panic, and a way to reboot that needs no device; no mitigations,
   * which are slow where everything is emulated; no looking for what is not there.
   */
  private static final String COMMAND_LINE =
      "console=ttyS0 quiet rdinit=/init panic=-1 reboot=t mitigations=off pci=off"
          + " 8250.nr_uarts=1";

  private static final GhesLayout NO_ERROR_SOURCES = new GhesLayout(List.of());
  private static final long MIB = 1 << 20;
  private static final long LOW_BYTES = 640 << 10;
  private static final int GDT = 0x6000;
  private static final int BOOT_PARAMETERS = 0x7000;
  private static final int PML4 = 0x9000;
  private static final int PDPT = 0xa000;
  private static final int PAGE_DIRECTORIES = 0xb000;
  private static final int COMMAND_LINE_ADDRESS = 0x20000;
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

  private final String name;
  private final long memoryBytes;
  private final BzImage kernel;
  private final byte[] initramfs;
  private String commandLine = COMMAND_LINE;
  private byte[] cpuModel = {};

  /**
   * @param name of the guest
   * @param memoryBytes a multiple of 2 MiB, at most 3 GiB
   * @param kernel a bzImage
   * @throws IOException if the kernel is none, or its file system has not been built
   */
  public LinuxGuestBuilder(String name, long memoryBytes, Path kernel) throws IOException {
    if (memoryBytes <= 0 || memoryBytes % (2 * MIB) != 0 || memoryBytes > 3072 * MIB) {
      throw new IllegalArgumentException(
          "memoryBytes %d; a multiple of 2 MiB up to 3 GiB is allowed".formatted(memoryBytes));
    }
    this.name = name;
    this.memoryBytes = memoryBytes;
    this.kernel = BzImage.read(kernel);
    this.initramfs = FirstProgram.initramfs();
    requireRoom();
  }

  private void requireRoom() throws IOException {
    long needed = kernel.preferredAddress() + kernel.initBytes() + initramfs.length;
    if (needed > memoryBytes) {
      throw new IOException(
          "the kernel needs %d MiB to begin with; the guest has %d MiB"
              .formatted(needed / MIB + 1, memoryBytes / MIB));
    }
  }

  /** Adds words to the kernel's command line. */
  public LinuxGuestBuilder with(String words) {
    commandLine = commandLine + " " + words;
    return this;
  }

  /**
   * @param model of {@link X86CpuModel}; without it the guest has the processor of the host that
   *     runs it
   */
  public LinuxGuestBuilder cpuModel(byte[] model) {
    cpuModel = model.clone();
    return this;
  }

  /** The layout that the guest will have: RAM from 0, without holes. */
  public GuestLayout layout() {
    return new GuestLayout(name, List.of(new GuestRegion(0, memoryBytes, 0)));
  }

  /**
   * Writes the guest's memory; what is not written stays a hole of the file.
   *
   * @param memoryFile empty, open for writing
   */
  public LinuxGuest writeTo(FileChannel memoryFile) throws IOException {
    write(memoryFile, memoryBytes - 1, new byte[1]);
    write(memoryFile, GDT, descriptors());
    write(memoryFile, BOOT_PARAMETERS, bootParameters());
    write(memoryFile, PML4, pageTables());
    write(
        memoryFile, COMMAND_LINE_ADDRESS, (commandLine + "\0").getBytes(StandardCharsets.US_ASCII));
    write(memoryFile, ACPI, AcpiTables.ofX86(new X86Machine(1), NO_ERROR_SOURCES, ACPI).toBytes());
    write(memoryFile, kernel.preferredAddress(), kernel.compressedKernel());
    write(memoryFile, initramfsAddress(), initramfs);
    return new LinuxGuest(layout(), states().toBytes());
  }

  private static void write(FileChannel file, long offset, byte[] content) throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(content);
    while (bytes.hasRemaining()) {
      file.write(bytes, offset + bytes.position());
    }
  }

  private long initramfsAddress() {
    return memoryBytes - initramfs.length & -Pages.SIZE_BYTES;
  }

  private byte[] bootParameters() {
    BootParameters parameters = new BootParameters(kernel);
    parameters.commandLine(COMMAND_LINE_ADDRESS);
    parameters.ramDisk(initramfsAddress(), initramfs.length);
    parameters.ram(0, LOW_BYTES);
    parameters.reserved(ACPI, MIB);
    parameters.ram(MIB, memoryBytes);
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

  private VcpuStates states() {
    Map<String, byte[]> sections = new HashMap<>();
    sections.put(KvmRegs.SECTION, registers().toBytes());
    sections.put(KvmSregs.SECTION, specialRegisters().toBytes());
    if (cpuModel.length > 0) {
      sections.put(X86CpuModel.SECTION, cpuModel);
    }
    return new VcpuStates(
        VcpuStates.X86_64,
        Map.of(SerialPort.SECTION, SerialPort.reset()),
        List.of(new VcpuState(0, sections)));
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
