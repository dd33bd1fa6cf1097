package ward.vcpu;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.TreeMap;

/**
 * Which sections a state is made of. Whatever is not listed is refused: to drop state would corrupt
 * the guest.
 */
record StateFormat(List<Part> parts) {

  /**
   * One section.
   *
   * @param name of the kernel's struct
   * @param leastBytes its size, or that of its fixed beginning
   * @param stepBytes what its variable part grows by; 0 if it has none
   * @param required whether a guest cannot be run without
   */
  record Part(String name, int leastBytes, int stepBytes, boolean required) {

    static Part required(String name, int sizeBytes) {
      return new Part(name, sizeBytes, 0, true);
    }

    static Part optional(String name, int sizeBytes) {
      return new Part(name, sizeBytes, 0, false);
    }

    private boolean fits(int sizeBytes) {
      int variable = sizeBytes - leastBytes;
      return stepBytes == 0 ? variable == 0 : variable >= 0 && variable % stepBytes == 0;
    }

    private String sizes() {
      return stepBytes == 0
          ? "%d are needed".formatted(leastBytes)
          : "%d and a multiple of %d are needed".formatted(leastBytes, stepBytes);
    }
  }

  StateFormat {
    parts = List.copyOf(parts);
  }

  /** Whether a state of this format may have such a section. */
  boolean has(String name) {
    return parts.stream().anyMatch(part -> part.name().equals(name));
  }

  /**
   * Holds a state against this format.
   *
   * @param owner for messages: {@code vCPU 3}
   * @throws IOException naming a section that is unknown, missing or of a wrong size
   */
  void check(String owner, Map<String, byte[]> sections) throws IOException {
    for (Map.Entry<String, byte[]> section : new TreeMap<>(sections).entrySet()) {
      check(owner, section.getKey(), section.getValue().length);
    }
    for (Part part : parts) {
      if (part.required() && !sections.containsKey(part.name())) {
        throw new IOException("%s lacks its section %s".formatted(owner, part.name()));
      }
    }
  }

  private void check(String owner, String name, int sizeBytes) throws IOException {
    Optional<Part> part = parts.stream().filter(known -> known.name().equals(name)).findFirst();
    if (part.isEmpty()) {
      throw new IOException(
          "%s has a section \"%s\", which this build does not know: it was written by a newer"
                  .formatted(owner, name)
              + " Ward; upgrade this host first");
    }
    if (!part.get().fits(sizeBytes)) {
      throw new IOException(
          "section %s of %s has %d bytes; %s"
              .formatted(name, owner, sizeBytes, part.get().sizes()));
    }
  }
}
