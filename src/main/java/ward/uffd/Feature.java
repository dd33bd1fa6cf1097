package ward.uffd;

import java.util.EnumSet;
import java.util.Set;

/**
 * What a kernel's userfaultfd can do, {@code UFFD_FEATURE_*} of {@code <linux/userfaultfd.h>}.
 *
 * <p>A kernel's version is no proof, since distributions backport and configure features away: what
 * counts is the answer of {@code UFFDIO_API}. The versions are for people who must choose a kernel;
 * the source is the kernel's history of the header.
 */
public enum Feature {
  /** Write-protection faults on anonymous memory. */
  PAGEFAULT_FLAG_WP(0, "5.7"),
  /** An event when the process forks. */
  EVENT_FORK(1, "4.11"),
  /** An event when a mapping moves, mremap(2). */
  EVENT_REMAP(2, "4.11"),
  /** An event when pages are given back, madvise(2): poison markers among them are gone. */
  EVENT_REMOVE(3, "4.11"),
  /** Missing faults on hugetlbfs. */
  MISSING_HUGETLBFS(4, "4.11"),
  /** Missing faults on shared memory and memfds. */
  MISSING_SHMEM(5, "4.11"),
  /** An event when a mapping ends, munmap(2). */
  EVENT_UNMAP(6, "4.11"),
  /** SIGBUS instead of an event. */
  SIGBUS(7, "4.14"),
  /** Events name the thread that faulted. */
  THREAD_ID(8, "4.14"),
  /** Faults on hugetlbfs pages that are in the file but not mapped. */
  MINOR_HUGETLBFS(9, "5.13"),
  /** Faults on shared memory that is in the file but not mapped. */
  MINOR_SHMEM(10, "5.14"),
  /** Events carry the address of the byte, not of its page. */
  EXACT_ADDRESS(11, "5.18"),
  /** Write-protection faults on shared memory and hugetlbfs. */
  WP_HUGETLBFS_SHMEM(12, "5.19"),
  /** Write protection also of pages that are not there yet. */
  WP_UNPOPULATED(13, "6.4"),
  /** {@code UFFDIO_POISON}; see {@link MarkerKind} for kernels without it. */
  POISON(14, "6.6"),
  /** Write protection that the kernel lifts by itself, for tracking writes. */
  WP_ASYNC(15, "6.7"),
  /** {@code UFFDIO_MOVE}. */
  MOVE(16, "6.8");

  private final long bit;
  private final String linuxVersion;

  Feature(int position, String linuxVersion) {
    this.bit = 1L << position;
    this.linuxVersion = linuxVersion;
  }

  /** The feature in a mask of {@code uffdio_api.features}. */
  public long bit() {
    return bit;
  }

  /** The first Linux release with the feature, as {@code 6.6}. */
  public String linuxVersion() {
    return linuxVersion;
  }

  /** Whether a mask has the feature. */
  public boolean isIn(long features) {
    return (features & bit) != 0;
  }

  /** The mask of some features. */
  static long mask(Set<Feature> features) {
    return features.stream().mapToLong(Feature::bit).reduce(0, (a, b) -> a | b);
  }

  /** The features of a mask; bits that this build does not know are left out. */
  public static Set<Feature> in(long features) {
    Set<Feature> found = EnumSet.allOf(Feature.class);
    found.removeIf(feature -> !feature.isIn(features));
    return found;
  }
}
