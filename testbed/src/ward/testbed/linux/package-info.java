/**
 * What a boot loader leaves in memory for a Linux kernel that is started without firmware.
 *
 * <p>Start with {@link ward.testbed.linux.Arm64LinuxBoot}.
 */
package ward.testbed.linux;
