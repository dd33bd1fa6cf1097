/**
 * userfaultfd as an object: handshake, registration, filling pages with data, zeros or poison,
 * reading events, and an audit of what the page tables really hold.
 *
 * <p>Knows host-virtual addresses and errnos; nothing of guests, migrations or which page deserves
 * which content. In particular it does not keep a poisoned page poisoned: the kernel lets a copy
 * replace a poison marker and answers success, so the caller must never ask for one.
 *
 * <p>Lost pages are marked by {@code UFFDIO_POISON}, or on kernels without it by a mapping that
 * cannot be read: {@link ward.uffd.MarkerKind}.
 *
 * <p>Start with {@link ward.uffd.Userfaultfd}.
 */
package ward.uffd;
