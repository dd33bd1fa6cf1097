package ward.memory;

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.stream.Collectors;

/**
 * What tells a paused guest's memory from every other: its shape, and the content of some of its
 * pages. Memory that is taken for it wrongly would be served as the guest's.
 *
 * @param samples in any order, each page once, at most 256; none where every page is lost
 */
public record MemoryIdentity(GuestLayout layout, List<PageSample> samples) {

  /** The most pages that are looked at. */
  public static final int SAMPLES_MAX = 256;

  /**
   * @throws IllegalArgumentException naming a page that is there twice or is not the guest's, or
   *     the count
   */
  public MemoryIdentity {
    samples = List.copyOf(samples);
    if (samples.size() > SAMPLES_MAX) {
      throw new IllegalArgumentException(
          "%d sampled pages; at most %d".formatted(samples.size(), SAMPLES_MAX));
    }
    for (PageSample sample : samples) {
      if (layout.pageAt(sample.address()).isEmpty()) {
        throw new IllegalArgumentException(
            "the sampled page at guest-physical address 0x%x is not RAM of guest %s"
                .formatted(sample.address(), layout.guest()));
      }
    }
    if (samples.stream().mapToLong(PageSample::frame).distinct().count() < samples.size()) {
      throw new IllegalArgumentException("a page is sampled twice; each may be there once");
    }
  }

  /**
   * Why what was seen now cannot be this memory; empty if it is. Pages that are missing from what
   * was seen have been lost in between, which changes no identity; but something has to be left
   * that says so.
   */
  public Optional<String> contradiction(MemoryIdentity seen) {
    Optional<String> shape = contradiction(seen.layout);
    return shape.isPresent() ? shape : contentContradiction(seen);
  }

  /** Why memory of this shape cannot be this memory; empty if it may be. */
  public Optional<String> contradiction(GuestLayout seen) {
    if (!seen.guest().equals(layout.guest())) {
      return Optional.of(
          "it is the memory of guest %s, not of %s".formatted(seen.guest(), layout.guest()));
    }
    return seen.equals(layout)
        ? Optional.empty()
        : Optional.of("another layout: %s, not %s".formatted(seen, layout));
  }

  private Optional<String> contentContradiction(MemoryIdentity seen) {
    Map<Long, String> digests =
        seen.samples.stream().collect(Collectors.toMap(PageSample::frame, PageSample::sha256));
    List<PageSample> comparable =
        samples.stream().filter(sample -> digests.containsKey(sample.frame())).toList();
    List<PageSample> other =
        comparable.stream()
            .filter(sample -> !sample.sha256().equals(digests.get(sample.frame())))
            .toList();
    if (!other.isEmpty()) {
      return Optional.of(
          "%d of %d sampled pages have other content, the first at guest-physical address 0x%x"
              .formatted(other.size(), comparable.size(), other.get(0).address()));
    }
    return comparable.isEmpty() && !samples.isEmpty()
        ? Optional.of(
            "none of the %d sampled pages can be read any more, so nothing proves whose memory it is"
                .formatted(samples.size()))
        : Optional.empty();
  }

  @Override
  public String toString() {
    return "memory by the %s, %d sampled pages".formatted(layout, samples.size());
  }
}
