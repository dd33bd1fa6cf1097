package ward.vcpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.google.protobuf.ByteString;
import java.io.IOException;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalLong;
import org.junit.jupiter.api.Test;
import ward.poison.Severity;
import ward.vcpu.proto.Section;
import ward.vcpu.proto.WaitingError;

class VcpuStatesTest {

  private static final Section REGS = section("kvm_regs", KvmRegs.SIZE_BYTES);
  private static final Section SREGS = section("kvm_sregs", KvmSregs.SIZE_BYTES);

  private static Section section(String name, int sizeBytes) {
    return Section.newBuilder()
        .setName(name)
        .setContent(ByteString.copyFrom(new byte[sizeBytes]))
        .build();
  }

  private static ward.vcpu.proto.VcpuState vcpu(int index, Section... sections) {
    return ward.vcpu.proto.VcpuState.newBuilder()
        .setIndex(index)
        .addAllSections(List.of(sections))
        .build();
  }

  private static byte[] message(String architecture, ward.vcpu.proto.VcpuState... vcpus) {
    return ward.vcpu.proto.VcpuStates.newBuilder()
        .setArchitecture(architecture)
        .addAllVcpus(List.of(vcpus))
        .build()
        .toByteArray();
  }

  private static void assertRefused(byte[] bytes, String message) {
    assertThatThrownBy(() -> VcpuStates.parse(bytes, new X86()))
        .isInstanceOf(IOException.class)
        .hasMessage(message);
  }

  @Test
  void whatIsWrittenIsReadBack() throws Exception {
    VcpuStates written = states(state(0, 1), state(1, 2), state(2, 3));

    VcpuStates read = VcpuStates.parse(written.toBytes(), new X86());

    assertThat(read.vcpus()).usingRecursiveComparison().isEqualTo(written.vcpus());
  }

  private static VcpuStates states(VcpuState... vcpus) {
    return new VcpuStates(VcpuStates.X86_64, Map.of(), List.of(vcpus));
  }

  private static VcpuState state(int index, int content) {
    byte[] regs = new byte[KvmRegs.SIZE_BYTES];
    byte[] sregs = new byte[KvmSregs.SIZE_BYTES];
    Arrays.fill(regs, (byte) content);
    Arrays.fill(sregs, (byte) -content);
    return new VcpuState(index, Map.of(KvmRegs.SECTION, regs, KvmSregs.SECTION, sregs));
  }

  @Test
  void whatTheGuestHasNotHeardOrSwitchedOffTravelsInOrder() throws Exception {
    MemoryError first =
        new MemoryError(
            OptionalLong.of(0x5000),
            Severity.ACTION_OPTIONAL,
            21,
            MemoryError.Input.SIGBUS_ACTION_OPTIONAL,
            0);
    MemoryError second =
        new MemoryError(
            OptionalLong.empty(), Severity.ACTION_REQUIRED, 12, MemoryError.Input.BROADCAST, 0);
    VcpuState written =
        new VcpuState(0, state(0, 1).sections(), List.of(first, second), Optional.of(second), true);

    VcpuState read = VcpuStates.parse(states(written).toBytes(), new X86()).vcpus().get(0);

    assertThat(read.waiting()).containsExactly(first, second);
    assertThat(read.unread()).contains(second);
    assertThat(read.off()).isTrue();
  }

  @Test
  void aWaitingErrorThatNoHostCanHaveHadIsRefused() {
    WaitingError.Builder error = WaitingError.newBuilder().setInput("BROADCAST");

    assertRefused(
        waiting(error.setLsb(11)),
        "an error that waits for vCPU 0 has the extent 2^11; 12 to 30 are allowed");
    assertRefused(
        waiting(error.setLsb(12)),
        "an error that waits for vCPU 0 has no severity that this build knows");
    assertRefused(
        waiting(error.setSeverity(WaitingError.Severity.ACTION_REQUIRED).setInput("TELEPATHY")),
        "an error that waits for vCPU 0 came by \"TELEPATHY\", which this build does not know:"
            + " upgrade this host first");
  }

  private static byte[] waiting(WaitingError.Builder error) {
    return message("x86_64", vcpu(0, REGS, SREGS).toBuilder().addWaiting(error).build());
  }

  @Test
  void theNumberOfMovesTravels() throws Exception {
    VcpuStates written = new VcpuStates(VcpuStates.X86_64, Map.of(), List.of(state(0, 1)), 3);

    assertThat(VcpuStates.parse(written.toBytes(), new X86()).moves()).isEqualTo(3);
  }

  @Test
  void garbageIsRefusedWithItsLength() {
    assertThatThrownBy(() -> VcpuStates.parse(new byte[] {-1, -1, -1}, new X86()))
        .isInstanceOf(IOException.class)
        .hasMessageStartingWith("3 bytes are not vCPU states: ");
  }

  @Test
  void everyTruncationIsRefused() {
    byte[] whole = states(state(0, 1)).toBytes();

    for (int length = 0; length < whole.length; length++) {
      byte[] cut = Arrays.copyOf(whole, length);
      assertThatThrownBy(() -> VcpuStates.parse(cut, new X86())).isInstanceOf(IOException.class);
    }
  }

  @Test
  void anotherArchitectureIsRefused() {
    assertRefused(
        message("aarch64", vcpu(0, REGS, SREGS)),
        "vCPU states of architecture \"aarch64\"; this host runs x86_64 guests");
  }

  @Test
  void aGuestWithoutVcpusIsRefused() {
    assertRefused(
        message("x86_64"), "the vCPU states hold no vCPU; a guest that runs has at least one");
  }

  @Test
  void aGapInTheIndexesIsRefused() {
    assertRefused(
        message("x86_64", vcpu(0, REGS, SREGS), vcpu(2, REGS, SREGS)),
        "vCPU 2 where vCPU 1 is due; they come in order, without gaps");
  }

  @Test
  void anIndexAboveIntMaxIsNamedAsItWasSent() {
    assertRefused(
        message("x86_64", vcpu(-1, REGS, SREGS)),
        "vCPU 4294967295 where vCPU 0 is due; they come in order, without gaps");
  }

  @Test
  void aSectionThatThisBuildDoesNotKnowIsRefused() {
    assertRefused(
        message("x86_64", vcpu(0, REGS, SREGS, section("kvm_nested_state", 4096))),
        "vCPU 0 has a section \"kvm_nested_state\", which this build does not know: it was written by a"
            + " newer Ward; upgrade this host first");
  }

  @Test
  void aMissingSectionIsRefused() {
    assertRefused(message("x86_64", vcpu(0, REGS)), "vCPU 0 lacks its section kvm_sregs");
    assertRefused(message("x86_64", vcpu(0, SREGS)), "vCPU 0 lacks its section kvm_regs");
  }

  @Test
  void aRepeatedSectionIsRefused() {
    assertRefused(
        message("x86_64", vcpu(0, REGS, SREGS, REGS)), "vCPU 0 has two sections kvm_regs");
  }

  @Test
  void aSectionOfAnotherSizeIsRefused() {
    assertRefused(
        message("x86_64", vcpu(0, section("kvm_regs", 143), SREGS)),
        "section kvm_regs of vCPU 0 has 143 bytes; 144 are needed");
  }
}
