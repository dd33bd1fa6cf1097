package ward.vcpu;

import com.google.protobuf.ByteString;
import com.google.protobuf.InvalidProtocolBufferException;
import java.io.IOException;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;
import ward.vcpu.proto.Section;

/**
 * All of a paused guest but its memory: its vCPUs, in order of index, and what KVM emulates around
 * them. The bytes that travel to the next host are {@code proto/vcpu.proto}.
 *
 * @param architecture as {@code uname -m} says it
 * @param machine sections that belong to no vCPU, by name
 * @param moves how often the guest has been saved in order to run elsewhere
 */
public record VcpuStates(
    String architecture, Map<String, byte[]> machine, List<VcpuState> vcpus, int moves) {

  public static final String X86_64 = "x86_64";
  public static final String AARCH64 = "aarch64";

  public VcpuStates {
    machine = Map.copyOf(machine);
    vcpus = List.copyOf(vcpus);
  }

  /** A guest that has not moved yet. */
  public VcpuStates(String architecture, Map<String, byte[]> machine, List<VcpuState> vcpus) {
    this(architecture, machine, vcpus, 0);
  }

  /** The states as they travel. */
  public byte[] toBytes() {
    ward.vcpu.proto.VcpuStates.Builder message =
        ward.vcpu.proto.VcpuStates.newBuilder()
            .setArchitecture(architecture)
            .setMoves(moves)
            .addAllSections(written(machine));
    for (VcpuState vcpu : vcpus) {
      ward.vcpu.proto.VcpuState.Builder written = message.addVcpusBuilder();
      written
          .setIndex(vcpu.index())
          .addAllSections(written(vcpu.sections()))
          .addAllWaiting(WaitingErrors.written(vcpu.waiting()))
          .setOff(vcpu.off());
      vcpu.unread().ifPresent(error -> written.setUnread(WaitingErrors.written(error)));
    }
    return message.build().toByteArray();
  }

  /** In one order, so that the same state always has the same bytes. */
  private static List<Section> written(Map<String, byte[]> sections) {
    return new TreeMap<>(sections)
        .entrySet().stream()
            .map(
                section ->
                    Section.newBuilder()
                        .setName(section.getKey())
                        .setContent(ByteString.copyFrom(section.getValue()))
                        .build())
            .toList();
  }

  /**
   * Reads what {@link #toBytes()} wrote on another host of this host's architecture.
   *
   * @throws IOException as {@link #parse(byte[], Architecture)}
   */
  public static VcpuStates parse(byte[] bytes) throws IOException {
    return parse(bytes, Architecture.ofThisHost());
  }

  /**
   * Reads what {@link #toBytes()} wrote on another host.
   *
   * @param host the only architecture whose guests can run here
   * @throws IOException saying what is wrong: no such message, another architecture, a section that
   *     is unknown, missing, repeated or of the wrong size, vCPUs that are not 0, 1, 2...
   */
  static VcpuStates parse(byte[] bytes, Architecture host) throws IOException {
    ward.vcpu.proto.VcpuStates message = message(bytes);
    if (!message.getArchitecture().equals(host.name())) {
      throw new IOException(
          "vCPU states of architecture \"%s\"; this host runs %s guests"
              .formatted(message.getArchitecture(), host.name()));
    }
    List<VcpuState> vcpus = new ArrayList<>();
    for (ward.vcpu.proto.VcpuState vcpu : message.getVcpusList()) {
      vcpus.add(parse(vcpu, vcpus.size(), host.vcpuFormat()));
    }
    if (vcpus.isEmpty()) {
      throw new IOException("the vCPU states hold no vCPU; a guest that runs has at least one");
    }
    Map<String, byte[]> machine =
        sections("the machine", message.getSectionsList(), host.machineFormat());
    return new VcpuStates(host.name(), machine, vcpus, message.getMoves());
  }

  private static ward.vcpu.proto.VcpuStates message(byte[] bytes) throws IOException {
    try {
      return ward.vcpu.proto.VcpuStates.parseFrom(bytes);
    } catch (InvalidProtocolBufferException e) {
      throw new IOException(
          "%d bytes are not vCPU states: %s".formatted(bytes.length, e.getMessage()), e);
    }
  }

  private static VcpuState parse(
      ward.vcpu.proto.VcpuState vcpu, int expectedIndex, StateFormat format) throws IOException {
    if (vcpu.getIndex() != expectedIndex) {
      throw new IOException(
          "vCPU %s where vCPU %d is due; they come in order, without gaps"
              .formatted(Integer.toUnsignedString(vcpu.getIndex()), expectedIndex));
    }
    String owner = "vCPU " + expectedIndex;
    return new VcpuState(
        expectedIndex,
        sections(owner, vcpu.getSectionsList(), format),
        WaitingErrors.parse(owner, vcpu.getWaitingList(), expectedIndex),
        vcpu.hasUnread()
            ? Optional.of(WaitingErrors.parse(owner, vcpu.getUnread(), expectedIndex))
            : Optional.empty(),
        vcpu.getOff());
  }

  private static Map<String, byte[]> sections(
      String owner, List<Section> written, StateFormat format) throws IOException {
    Map<String, byte[]> sections = new HashMap<>();
    for (Section section : written) {
      if (sections.put(section.getName(), section.getContent().toByteArray()) != null) {
        throw new IOException("%s has two sections %s".formatted(owner, section.getName()));
      }
    }
    format.check(owner, sections);
    return sections;
  }
}
