/**
 * A Linux guest of Ward's own: a Debian kernel, a first program, and what it says on its console.
 *
 * <p>Start with {@link ward.testbed.linux.LinuxGuestBuilder}.
 */
package ward.testbed.linux;
