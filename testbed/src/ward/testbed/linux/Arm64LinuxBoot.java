package ward.testbed.linux;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import ward.memory.GuestRegion;
import ward.memory.Pages;
import ward.testbed.acpi.AcpiTables;
import ward.testbed.acpi.Arm64Machine;
import ward.testbed.acpi.GhesMemory;
import ward.vcpu.Arm64Registers;
import ward.vcpu.GhesLayout;
import ward.vcpu.SerialPort;
import ward.vcpu.VcpuStates;

/**
 * An arm64 kernel and everything that it needs to start with ACPI, as pieces of guest memory. The
 * boot processor then starts at {@link #entry()} at EL1, with the MMU off, all exceptions masked,
 * {@link #deviceTree()} in X0 and 0 in X1 to X3 (Documentation/arch/arm64/booting.rst in Linux).
 *
 * <pre>
 * RAM +0x200000  error sources      +0x220000  EFI hand-over     +0x400000  kernel
 *     +0x210000  ACPI tables        +0x230000  device tree       then       initial file system
 * </pre>
 */
public final class Arm64LinuxBoot implements LinuxBoot {

  private static final long GHES = 0x20_0000;
  private static final long ACPI = 0x21_0000;
  private static final long EFI = 0x22_0000;
  private static final long DEVICE_TREE = 0x23_0000;
  static final long KERNEL = 0x40_0000;
  private static final int DESCRIPTORS_MAX = 64;

  /** PSTATE: EL1 with its own stack; D, A, I and F set. */
  private static final long EL1_ALL_MASKED = 0x3c5;

  private final long base;
  private final GhesMemory ghes;
  private final List<Piece> pieces = new ArrayList<>();

  /**
   * @param ram in which everything is placed; the first 2 MiB stay free
   * @param initialFiles a cpio archive
   * @param commandLine of the kernel, without what the hand-over needs
   * @param polled whether there is an error source that the kernel polls, besides that for aborts
   */
  public Arm64LinuxBoot(
      Arm64Machine machine,
      GuestRegion ram,
      Arm64Image kernel,
      byte[] initialFiles,
      String commandLine,
      boolean polled) {
    base = ram.guestPhysicalAddress();
    GhesMemory both = GhesMemory.ofArm64(base + GHES);
    ghes = polled ? both : both.withoutPolled();
    AcpiTables acpi = AcpiTables.ofArm64(machine, ghes.layout(), base + ACPI);
    long imageBytes = kernel.imageBytes();
    long filesAddress = Pages.align(base + KERNEL + imageBytes + Pages.SIZE_BYTES - 1);
    byte[] map =
        new EfiMemoryMap()
            .with(EfiMemoryMap.Type.ACPI_NVS, base + GHES, Pages.SIZE_BYTES)
            .with(EfiMemoryMap.Type.ACPI_RECLAIM, base + ACPI, acpi.toBytes().length)
            .with(
                EfiMemoryMap.Type.ACPI_RECLAIM, base + EFI, EfiHandOver.sizeBytes(DESCRIPTORS_MAX))
            .with(EfiMemoryMap.Type.LOADER_DATA, base + KERNEL, imageBytes)
            .with(EfiMemoryMap.Type.LOADER_DATA, filesAddress, initialFiles.length)
            .toBytes(List.of(ram));
    EfiHandOver handOver = new EfiHandOver(base + EFI, acpi.rootPointerAddress(), map);
    DeviceTree tree = tree(handOver, commandLine, filesAddress, initialFiles.length);
    pieces.add(new Piece(base + GHES, ghes.toBytes()));
    pieces.add(new Piece(base + ACPI, acpi.toBytes()));
    pieces.add(new Piece(base + EFI, handOver.toBytes()));
    pieces.add(new Piece(base + DEVICE_TREE, tree.toBytes()));
    pieces.add(new Piece(base + KERNEL, kernel.bytes()));
    pieces.add(new Piece(filesAddress, initialFiles));
  }

  /** Nothing but what was chosen: the kernel then prefers ACPI by itself. */
  private static DeviceTree tree(
      EfiHandOver handOver, String commandLine, long filesAddress, long filesBytes) {
    DeviceTree tree = new DeviceTree();
    tree.root().cells("#address-cells", 2).cells("#size-cells", 2);
    DeviceTree.Node chosen =
        tree.root()
            .child("chosen")
            .text("bootargs", commandLine + " " + EfiHandOver.PARAMETER)
            .pairs("linux,initrd-start", filesAddress)
            .pairs("linux,initrd-end", filesAddress + filesBytes);
    handOver.describe(chosen);
    return tree;
  }

  @Override
  public List<Piece> pieces() {
    return List.copyOf(pieces);
  }

  /** Where the guest's error sources are. */
  public GhesMemory ghes() {
    return ghes;
  }

  /** The kernel's first instruction, guest-physical. */
  public long entry() {
    return base + KERNEL;
  }

  /** Guest-physical. */
  public long deviceTree() {
    return base + DEVICE_TREE;
  }

  @Override
  public String architecture() {
    return VcpuStates.AARCH64;
  }

  @Override
  public Map<String, byte[]> machine() {
    return Map.of(
        SerialPort.SECTION, SerialPort.reset(), GhesLayout.SECTION, ghes.layout().toBytes());
  }

  @Override
  public Map<String, byte[]> vcpu() {
    byte[] registers =
        new Arm64Registers()
            .put(Arm64Registers.PC, entry())
            .put(Arm64Registers.PSTATE, EL1_ALL_MASKED)
            .put(Arm64Registers.x(0), deviceTree())
            .toBytes();
    return Map.of(Arm64Registers.SECTION, registers);
  }
}
