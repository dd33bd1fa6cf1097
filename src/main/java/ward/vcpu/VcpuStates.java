package ward.vcpu;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import ward.vcpu.proto.Section;

/**
 * All vCPUs of a paused x86-64 guest, in order of index: the bytes that travel to the next host,
 * {@code proto/vcpu.proto}.
 */
public record VcpuStates(List<VcpuState> vcpus) {

  /** As {@code uname -m} says it. */
  public static final String ARCHITECTURE = "x86_64";

  private static final String REGS = "kvm_regs";
  private static final String SREGS = "kvm_sregs";
  private static final Map<String, Integer> SECTION_BYTES =
      Map.of(REGS, KvmRegs.SIZE_BYTES, SREGS, KvmSregs.SIZE_BYTES);

  public VcpuStates {
    vcpus = List.copyOf(vcpus);
  }

  /** The states as they travel. */
  public byte[] toBytes() {
    ward.vcpu.proto.VcpuStates.Builder message =
        ward.vcpu.proto.VcpuStates.newBuilder().setArchitecture(ARCHITECTURE);
    for (VcpuState vcpu : vcpus) {
      message
          .addVcpusBuilder()
          .setIndex(vcpu.index())
          .addSections(section(REGS, vcpu.regs()))
          .addSections(section(SREGS, vcpu.sregs()));
    }
    return message.build().toByteArray();
  }

  private static Section section(String name, byte[] content) {
    return Section.newBuilder().setName(name).setContent(ByteString.copyFrom(content)).build();
  }

  /**
   * Reads what {@link #toBytes()} wrote on another host.
   *
   * @throws IOException saying what is wrong: no such message, another architecture, a section that
   *     is unknown, missing, repeated or of the wrong size, vCPUs that are not 0, 1, 2...
   */
  public static VcpuStates parse(byte[] bytes) throws IOException {
    ward.vcpu.proto.VcpuStates message = message(bytes);
    if (!message.getArchitecture().equals(ARCHITECTURE)) {
      throw new IOException(
          "vCPU states of architecture \"%s\"; this build runs %s guests"
              .formatted(message.getArchitecture(), ARCHITECTURE));
    }
    List<VcpuState> vcpus = new ArrayList<>();
    for (ward.vcpu.proto.VcpuState vcpu : message.getVcpusList()) {
      vcpus.add(parse(vcpu, vcpus.size()));
    }
    if (vcpus.isEmpty()) {
      throw new IOException("the vCPU states hold no vCPU; a guest that runs has at least one");
    }
    return new VcpuStates(vcpus);
  }

  private static ward.vcpu.proto.VcpuStates message(byte[] bytes) throws IOException {
    try {
      return ward.vcpu.proto.VcpuStates.parseFrom(bytes);
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(
          "%d bytes are not vCPU states: %s".formatted(bytes.length, e.getMessage()), e);
    }
  }

  private static VcpuState parse(ward.vcpu.proto.VcpuState vcpu, int expectedIndex)
      throws IOException {
    if (vcpu.getIndex() != expectedIndex) {
      throw new IOException(
          "vCPU %s where vCPU %d is due; they come in order, without gaps"
              .formatted(Integer.toUnsignedString(vcpu.getIndex()), expectedIndex));
    }
    Map<String, byte[]> sections = new HashMap<>();
    for (Section section : vcpu.getSectionsList()) {
      requireKnown(vcpu.getIndex(), section);
      if (sections.put(section.getName(), section.getContent().toByteArray()) != null) {
        throw new IOException(
            "vCPU %d has two sections %s".formatted(vcpu.getIndex(), section.getName()));
      }
    }
    return new VcpuState(
        vcpu.getIndex(),
        present(sections, REGS, vcpu.getIndex()),
        present(sections, SREGS, vcpu.getIndex()));
  }

  private static void requireKnown(int vcpu, Section section) throws IOException {
    Integer sizeBytes = SECTION_BYTES.get(section.getName());
    if (sizeBytes == null) {
      throw new IOException(
          "vCPU %d has a section \"%s\", which this build does not know: it was written by a newer"
                  .formatted(vcpu, section.getName())
              + " Ward; upgrade this host first");
    }
    if (section.getContent().size() != sizeBytes) {
      throw new IOException(
          "section %s of vCPU %d has %d bytes; %d are needed"
              .formatted(section.getName(), vcpu, section.getContent().size(), sizeBytes));
    }
  }

  private static byte[] present(Map<String, byte[]> sections, String name, int vcpu)
      throws IOException {
    byte[] content = sections.get(name);
    if (content == null) {
      throw new IOException("vCPU %d lacks its section %s".formatted(vcpu, name));
    }
    return content;
  }
}
