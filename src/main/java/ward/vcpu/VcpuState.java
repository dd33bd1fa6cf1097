package ward.vcpu;

/**
 * One vCPU of a paused guest.
 *
 * @param index from 0; also its APIC id
 * @param regs {@code struct kvm_regs}, {@link KvmRegs#SIZE_BYTES} long
 * @param sregs {@code struct kvm_sregs}, {@link KvmSregs#SIZE_BYTES} long
 */
public record VcpuState(int index, byte[] regs, byte[] sregs) {}
