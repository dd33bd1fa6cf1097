package ward.uffd;

/**
 * Where the bytes of watched shared memory can be written without its watched mapping.
 *
 * <p>Addresses are host-virtual.
 */
public interface SecondMapping {

  /** Pages of 4 KiB in all. */
  long pageCount();

  /** Counts the pages of 4 KiB, from 0: the one at an address of the watched mapping. */
  long pageAt(long hostAddress);

  /** Of a page's first byte, in a mapping that no userfaultfd watches. */
  long addressOf(long page);
}
