package ward.testbed.linux;

import ward.memory.GuestLayout;

/**
 * A guest that stands before the first instruction of a Linux kernel.
 *
 * @param vcpuStates as {@code ward.vcpu.VcpuStates} writes them
 */
public record LinuxGuest(GuestLayout layout, byte[] vcpuStates) {}
