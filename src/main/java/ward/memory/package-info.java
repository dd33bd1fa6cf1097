/**
 * Words for guest memory: regions, layouts, runs of pages, sets of pages. Values only, no I/O.
 *
 * <p>Two ways to name a page: its guest-physical address (GPA), which has holes, and its page
 * index, which counts the pages of a layout from 0 without holes. Start with {@link
 * ward.memory.GuestLayout}.
 */
package ward.memory;
