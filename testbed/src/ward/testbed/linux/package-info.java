/**
 * Linux guests that are started without firmware: what a boot loader leaves in memory, a first
 * program, and what it says on its console.
 *
 * <p>Start with {@link ward.testbed.linux.LinuxGuestBuilder} for x86-64, and {@link
 * ward.testbed.linux.Arm64LinuxBoot} for arm64.
 */
package ward.testbed.linux;
