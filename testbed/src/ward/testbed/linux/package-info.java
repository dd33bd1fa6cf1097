/**
 * Linux guests that are started without firmware: what a boot loader leaves in memory, a first
 * program, and what it says on its console.
 *
 * <p>Start with {@link ward.testbed.linux.LinuxGuestBuilder}.
 */
package ward.testbed.linux;
