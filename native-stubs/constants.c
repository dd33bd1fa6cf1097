/* The kernel's numbers and layouts as this compiler sees them; Ward's tests hold the Java copies to these. */
#define _GNU_SOURCE
#include "ward.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <linux/kvm.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#ifndef UFFDIO_POISON /* Linux 6.6; the headers may be older than the kernel */
#define UFFD_FEATURE_POISON (1 << 14)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif
#ifndef MADV_COLLAPSE /* Linux 6.1; the C library may be older */
#define MADV_COLLAPSE 25
#endif
#ifndef PAGEMAP_SCAN /* Linux 6.7 */
#define PAGE_IS_SWAPPED (1 << 4)
#define PAGE_IS_PFNZERO (1 << 5)
struct page_region {
	__u64 start, end, categories;
};
struct pm_scan_arg {
	__u64 size, flags, start, end, walk_end, vec, vec_len, max_pages;
	__u64 category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define PAGEMAP_SCAN _IOWR('f', 16, struct pm_scan_arg)
#endif
#ifndef UFFDIO_MOVE /* Linux 6.8 */
struct uffdio_move {
	__u64 dst, src, len, mode;
	__s64 move;
};
#define UFFDIO_MOVE _IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif
#ifndef USERFAULTFD_IOC_NEW /* Linux 6.1 */
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif
#ifndef UFFD_FEATURE_WP_UNPOPULATED /* Linux 6.4 */
#define UFFD_FEATURE_WP_UNPOPULATED (1 << 13)
#endif
#ifndef UFFD_FEATURE_WP_ASYNC /* Linux 6.7 */
#define UFFD_FEATURE_WP_ASYNC (1 << 15)
#endif
#ifndef UFFD_FEATURE_MOVE /* Linux 6.8 */
#define UFFD_FEATURE_MOVE (1 << 16)
#endif
#ifndef KVM_EXIT_MEMORY_FAULT /* Linux 6.8 */
#define KVM_EXIT_MEMORY_FAULT 39
struct ward_memory_fault {
	__u64 flags, gpa, size;
};
#define MEMORY_FAULT(member) UNION_OFFSET("memory_fault", struct ward_memory_fault, member)
#else
#define MEMORY_FAULT(member) OFFSET(kvm_run, memory_fault.member)
#endif
#ifndef KVM_EXIT_ARM_SEA /* Linux 6.19 */
#define KVM_EXIT_ARM_SEA 41
#define KVM_EXIT_ARM_SEA_FLAG_GPA_VALID (1ULL << 0)
struct ward_arm_sea {
	__u64 flags, esr, gva, gpa;
};
#define ARM_SEA(member) UNION_OFFSET("arm_sea", struct ward_arm_sea, member)
#else
#define ARM_SEA(member) OFFSET(kvm_run, arm_sea.member)
#endif

#ifdef __aarch64__
#ifndef KVM_CAP_ARM_SEA_TO_USER /* Linux 6.19 */
#define KVM_CAP_ARM_SEA_TO_USER 245
#endif
#define CORE_REGISTER(member) \
	(int64_t)(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | offsetof(struct kvm_regs, member) / sizeof(__u32))
#endif

_Static_assert(sizeof(struct uffd_msg) == 32, "userfaultfd events are read in whole records");

#define VALUE(name) { #name, (int64_t)(name) }
#define SIZE(type) { "sizeof " #type, (int64_t)sizeof(struct type) }
#define OFFSET(type, member) { #type "." #member, (int64_t)offsetof(struct type, member) }
/* Where a member of kvm_run's union is that the header does not know; every member begins where the union does. */
#define UNION_OFFSET(name, type, member) \
	{ "kvm_run." name "." #member, (int64_t)(offsetof(struct kvm_run, padding) + offsetof(type, member)) }

static const struct {
	const char *name;
	int64_t value;
} constants[] = {
	VALUE(O_RDONLY), VALUE(O_RDWR), VALUE(O_NONBLOCK), VALUE(O_CLOEXEC), VALUE(PROT_READ), VALUE(PROT_WRITE),
	VALUE(MADV_DONTNEED), VALUE(MADV_REMOVE), VALUE(MADV_HUGEPAGE), VALUE(MADV_COLLAPSE), VALUE(MADV_POPULATE_READ), VALUE(MADV_POPULATE_WRITE), VALUE(MADV_HWPOISON),
	VALUE(F_SEAL_SEAL), VALUE(F_SEAL_SHRINK), VALUE(F_SEAL_GROW), VALUE(F_SEAL_FUTURE_WRITE), VALUE(SIGBUS), VALUE(BUS_ADRERR), VALUE(BUS_OBJERR),
	VALUE(BUS_MCEERR_AR), VALUE(BUS_MCEERR_AO),
	SIZE(ward_signal), OFFSET(ward_signal, code), OFFSET(ward_signal, address), OFFSET(ward_signal, address_lsb),
	SIZE(ward_touch), OFFSET(ward_touch, page), OFFSET(ward_touch, address), OFFSET(ward_touch, began), OFFSET(ward_touch, waited),
	OFFSET(ward_touch, seen), OFFSET(ward_touch, lost),

	VALUE(UFFD_API), VALUE(UFFDIO_API), VALUE(UFFDIO_REGISTER), VALUE(UFFDIO_UNREGISTER), VALUE(UFFDIO_WAKE),
	VALUE(UFFDIO_COPY), VALUE(UFFDIO_ZEROPAGE), VALUE(UFFDIO_MOVE), VALUE(UFFDIO_CONTINUE), VALUE(UFFDIO_POISON),
	VALUE(UFFD_EVENT_PAGEFAULT), VALUE(UFFD_EVENT_FORK), VALUE(UFFD_EVENT_REMAP), VALUE(UFFD_EVENT_REMOVE),
	VALUE(UFFD_EVENT_UNMAP), VALUE(UFFD_PAGEFAULT_FLAG_WRITE), VALUE(UFFD_PAGEFAULT_FLAG_MINOR),
	VALUE(UFFD_FEATURE_PAGEFAULT_FLAG_WP), VALUE(UFFD_FEATURE_EVENT_FORK), VALUE(UFFD_FEATURE_EVENT_REMAP),
	VALUE(UFFD_FEATURE_EVENT_REMOVE), VALUE(UFFD_FEATURE_MISSING_HUGETLBFS), VALUE(UFFD_FEATURE_MISSING_SHMEM),
	VALUE(UFFD_FEATURE_EVENT_UNMAP), VALUE(UFFD_FEATURE_SIGBUS), VALUE(UFFD_FEATURE_THREAD_ID),
	VALUE(UFFD_FEATURE_MINOR_HUGETLBFS), VALUE(UFFD_FEATURE_MINOR_SHMEM), VALUE(UFFD_FEATURE_EXACT_ADDRESS),
	VALUE(UFFD_FEATURE_WP_HUGETLBFS_SHMEM), VALUE(UFFD_FEATURE_WP_UNPOPULATED), VALUE(UFFD_FEATURE_POISON),
	VALUE(UFFD_FEATURE_WP_ASYNC), VALUE(UFFD_FEATURE_MOVE), VALUE(USERFAULTFD_IOC_NEW),
	VALUE(UFFDIO_REGISTER_MODE_MISSING), VALUE(UFFDIO_REGISTER_MODE_MINOR),
	SIZE(uffdio_api), OFFSET(uffdio_api, api), OFFSET(uffdio_api, features), OFFSET(uffdio_api, ioctls),
	SIZE(uffdio_register), OFFSET(uffdio_register, range.start), OFFSET(uffdio_register, range.len),
	OFFSET(uffdio_register, mode), OFFSET(uffdio_register, ioctls),
	SIZE(uffdio_range), OFFSET(uffdio_range, start), OFFSET(uffdio_range, len),
	SIZE(uffdio_copy), OFFSET(uffdio_copy, dst), OFFSET(uffdio_copy, src), OFFSET(uffdio_copy, len),
	OFFSET(uffdio_copy, mode), OFFSET(uffdio_copy, copy),
	SIZE(uffdio_move), OFFSET(uffdio_move, dst), OFFSET(uffdio_move, src), OFFSET(uffdio_move, len),
	OFFSET(uffdio_move, mode), OFFSET(uffdio_move, move),
	SIZE(uffdio_zeropage), OFFSET(uffdio_zeropage, range.start), OFFSET(uffdio_zeropage, range.len),
	OFFSET(uffdio_zeropage, mode), OFFSET(uffdio_zeropage, zeropage),
	SIZE(uffdio_continue), OFFSET(uffdio_continue, range.start), OFFSET(uffdio_continue, range.len),
	OFFSET(uffdio_continue, mode), OFFSET(uffdio_continue, mapped),
	SIZE(uffdio_poison), OFFSET(uffdio_poison, range.start), OFFSET(uffdio_poison, range.len),
	OFFSET(uffdio_poison, mode), OFFSET(uffdio_poison, updated),
	VALUE(PAGEMAP_SCAN), VALUE(PAGE_IS_SWAPPED), VALUE(PAGE_IS_PFNZERO), SIZE(page_region), SIZE(pm_scan_arg), OFFSET(pm_scan_arg, start), OFFSET(pm_scan_arg, end),
	OFFSET(pm_scan_arg, category_mask), OFFSET(pm_scan_arg, return_mask), OFFSET(pm_scan_arg, vec), OFFSET(pm_scan_arg, vec_len),
	SIZE(uffd_msg), OFFSET(uffd_msg, event), OFFSET(uffd_msg, arg.pagefault.flags),
	OFFSET(uffd_msg, arg.pagefault.address), OFFSET(uffd_msg, arg.pagefault.feat.ptid),
	OFFSET(uffd_msg, arg.remove.start), OFFSET(uffd_msg, arg.remove.end),
	OFFSET(uffd_msg, arg.remap.from), OFFSET(uffd_msg, arg.remap.to), OFFSET(uffd_msg, arg.remap.len),

	VALUE(KVM_GET_API_VERSION), VALUE(KVM_CREATE_VM), VALUE(KVM_CHECK_EXTENSION), VALUE(KVM_GET_VCPU_MMAP_SIZE),
	VALUE(KVM_CREATE_VCPU), VALUE(KVM_SET_USER_MEMORY_REGION), VALUE(KVM_RUN), VALUE(KVM_SET_SIGNAL_MASK),
	VALUE(KVM_EXIT_IO), VALUE(KVM_EXIT_HLT), VALUE(KVM_EXIT_MMIO), VALUE(KVM_EXIT_SHUTDOWN), VALUE(KVM_EXIT_FAIL_ENTRY),
	VALUE(KVM_EXIT_INTR), VALUE(KVM_EXIT_INTERNAL_ERROR), VALUE(KVM_EXIT_IO_OUT),
	VALUE(KVM_CAP_SYNC_MMU), VALUE(KVM_CAP_USER_MEMORY), VALUE(KVM_CAP_IMMEDIATE_EXIT),
	SIZE(kvm_userspace_memory_region), OFFSET(kvm_userspace_memory_region, slot),
	OFFSET(kvm_userspace_memory_region, flags), OFFSET(kvm_userspace_memory_region, guest_phys_addr),
	OFFSET(kvm_userspace_memory_region, memory_size), OFFSET(kvm_userspace_memory_region, userspace_addr),
	OFFSET(kvm_run, immediate_exit), OFFSET(kvm_run, exit_reason), OFFSET(kvm_run, io.direction),
	OFFSET(kvm_run, io.size), OFFSET(kvm_run, io.port), OFFSET(kvm_run, io.count), OFFSET(kvm_run, io.data_offset),
	OFFSET(kvm_run, mmio.phys_addr), OFFSET(kvm_run, mmio.data), OFFSET(kvm_run, mmio.len),
	OFFSET(kvm_run, mmio.is_write), OFFSET(kvm_run, internal.suberror),
	OFFSET(kvm_run, fail_entry.hardware_entry_failure_reason),
	VALUE(KVM_EXIT_SYSTEM_EVENT), VALUE(KVM_EXIT_ARM_NISV), VALUE(KVM_EXIT_MEMORY_FAULT), VALUE(KVM_EXIT_ARM_SEA),
	VALUE(KVM_EXIT_ARM_SEA_FLAG_GPA_VALID), VALUE(KVM_SYSTEM_EVENT_SHUTDOWN), VALUE(KVM_SYSTEM_EVENT_RESET),
	VALUE(KVM_SYSTEM_EVENT_CRASH), VALUE(KVM_INTERNAL_ERROR_EMULATION), OFFSET(kvm_run, system_event.type), OFFSET(kvm_run, arm_nisv.esr_iss),
	OFFSET(kvm_run, arm_nisv.fault_ipa), MEMORY_FAULT(flags), MEMORY_FAULT(gpa), MEMORY_FAULT(size),
	ARM_SEA(flags), ARM_SEA(esr), ARM_SEA(gva), ARM_SEA(gpa),
	SIZE(kvm_signal_mask), SIZE(kvm_regs), SIZE(kvm_sregs), SIZE(kvm_mp_state), VALUE(KVM_SET_MP_STATE),
	OFFSET(kvm_signal_mask, sigset), OFFSET(kvm_mp_state, mp_state), VALUE(KVM_MP_STATE_RUNNABLE),
	VALUE(KVM_GET_MP_STATE), VALUE(KVM_GET_REGS), VALUE(KVM_SET_REGS), VALUE(KVM_GET_SREGS), VALUE(KVM_SET_SREGS),
	VALUE(KVM_IRQ_LINE), SIZE(kvm_irq_level), OFFSET(kvm_irq_level, irq), OFFSET(kvm_irq_level, level),
	VALUE(KVM_ENABLE_CAP), SIZE(kvm_enable_cap), OFFSET(kvm_enable_cap, args),
#ifdef __aarch64__
	VALUE(KVM_GET_VCPU_EVENTS), VALUE(KVM_SET_VCPU_EVENTS), SIZE(kvm_vcpu_events),
	OFFSET(kvm_vcpu_events, exception.serror_pending), OFFSET(kvm_vcpu_events, exception.serror_has_esr),
	OFFSET(kvm_vcpu_events, exception.ext_dabt_pending), OFFSET(kvm_vcpu_events, exception.serror_esr),
	VALUE(KVM_GET_ONE_REG), VALUE(KVM_SET_ONE_REG), SIZE(kvm_one_reg), OFFSET(kvm_one_reg, id), OFFSET(kvm_one_reg, addr),
	VALUE(KVM_ARM_VCPU_INIT), VALUE(KVM_ARM_PREFERRED_TARGET), SIZE(kvm_vcpu_init), OFFSET(kvm_vcpu_init, features),
	VALUE(KVM_ARM_VCPU_PSCI_0_2), VALUE(KVM_GET_REG_LIST), SIZE(kvm_reg_list),
	VALUE(KVM_CREATE_DEVICE), SIZE(kvm_create_device), OFFSET(kvm_create_device, type), OFFSET(kvm_create_device, fd),
	VALUE(KVM_SET_DEVICE_ATTR), VALUE(KVM_GET_DEVICE_ATTR), SIZE(kvm_device_attr), OFFSET(kvm_device_attr, group),
	OFFSET(kvm_device_attr, attr), OFFSET(kvm_device_attr, addr),
	VALUE(KVM_DEV_TYPE_ARM_VGIC_V3), VALUE(KVM_DEV_ARM_VGIC_GRP_ADDR), VALUE(KVM_DEV_ARM_VGIC_GRP_NR_IRQS),
	VALUE(KVM_DEV_ARM_VGIC_GRP_CTRL), VALUE(KVM_DEV_ARM_VGIC_CTRL_INIT), VALUE(KVM_VGIC_V3_ADDR_TYPE_DIST),
	VALUE(KVM_VGIC_V3_ADDR_TYPE_REDIST), VALUE(KVM_DEV_ARM_VGIC_GRP_DIST_REGS), VALUE(KVM_DEV_ARM_VGIC_GRP_REDIST_REGS),
	VALUE(KVM_DEV_ARM_VGIC_GRP_CPU_SYSREGS), VALUE(KVM_DEV_ARM_VGIC_GRP_LEVEL_INFO),
	VALUE(KVM_DEV_ARM_VGIC_V3_MPIDR_SHIFT), VALUE(KVM_DEV_ARM_VGIC_LINE_LEVEL_INFO_SHIFT), VALUE(VGIC_LEVEL_INFO_LINE_LEVEL),
	VALUE(KVM_CAP_VCPU_EVENTS), VALUE(KVM_CAP_ONE_REG), VALUE(KVM_CAP_ARM_PSCI_0_2), VALUE(KVM_CAP_ARM_INJECT_SERROR_ESR),
	VALUE(KVM_CAP_ARM_NISV_TO_USER),
	VALUE(KVM_CAP_ARM_INJECT_EXT_DABT), VALUE(KVM_CAP_ARM_SEA_TO_USER), VALUE(KVM_ARM_IRQ_TYPE_SPI),
	VALUE(KVM_ARM_IRQ_TYPE_SHIFT), VALUE(KVM_REG_ARM_TIMER_CNT),
	{ "register x0", CORE_REGISTER(regs.regs[0]) }, { "register x30", CORE_REGISTER(regs.regs[30]) },
	{ "register sp", CORE_REGISTER(regs.sp) }, { "register pc", CORE_REGISTER(regs.pc) },
	{ "register pstate", CORE_REGISTER(regs.pstate) }, { "register sp_el1", CORE_REGISTER(sp_el1) },
	{ "register elr_el1", CORE_REGISTER(elr_el1) }, { "register spsr_el1", CORE_REGISTER(spsr[KVM_SPSR_EL1]) },
	{ "register sctlr_el1", (int64_t)ARM64_SYS_REG(3, 0, 1, 0, 0) }, { "register tcr_el1", (int64_t)ARM64_SYS_REG(3, 0, 2, 0, 2) },
	{ "register ttbr0_el1", (int64_t)ARM64_SYS_REG(3, 0, 2, 0, 0) }, { "register ttbr1_el1", (int64_t)ARM64_SYS_REG(3, 0, 2, 0, 1) },
	{ "register esr_el1", (int64_t)ARM64_SYS_REG(3, 0, 5, 2, 0) }, { "register far_el1", (int64_t)ARM64_SYS_REG(3, 0, 6, 0, 0) },
	{ "register vbar_el1", (int64_t)ARM64_SYS_REG(3, 0, 12, 0, 0) },
	{ "register id_aa64mmfr1_el1", (int64_t)ARM64_SYS_REG(3, 0, 0, 7, 1) },
#endif
#ifdef __x86_64__
	VALUE(KVM_GET_MSR_INDEX_LIST), VALUE(KVM_GET_IRQCHIP), VALUE(KVM_SET_IRQCHIP), VALUE(KVM_CREATE_PIT2),
	VALUE(KVM_GET_PIT2), VALUE(KVM_SET_PIT2), VALUE(KVM_GET_CLOCK), VALUE(KVM_SET_CLOCK), VALUE(KVM_GET_LAPIC),
	VALUE(KVM_SET_LAPIC), VALUE(KVM_GET_VCPU_EVENTS), VALUE(KVM_SET_VCPU_EVENTS), VALUE(KVM_GET_DEBUGREGS),
	VALUE(KVM_SET_DEBUGREGS), VALUE(KVM_GET_TSC_KHZ), VALUE(KVM_SET_TSC_KHZ), VALUE(KVM_GET_XSAVE), VALUE(KVM_SET_XSAVE),
	VALUE(KVM_GET_XSAVE2), VALUE(KVM_GET_XCRS), VALUE(KVM_SET_XCRS), VALUE(KVM_KVMCLOCK_CTRL), VALUE(KVM_GET_SREGS2),
	VALUE(KVM_SET_SREGS2), VALUE(KVM_CAP_XCRS), VALUE(KVM_CAP_SREGS2), VALUE(KVM_CAP_XSAVE2),
	VALUE(KVM_CAP_EXCEPTION_PAYLOAD), VALUE(KVM_PIT_SPEAKER_DUMMY), VALUE(KVM_IRQCHIP_PIC_MASTER),
	VALUE(KVM_IRQCHIP_PIC_SLAVE), VALUE(KVM_IRQCHIP_IOAPIC),
	SIZE(kvm_irqchip), OFFSET(kvm_irqchip, chip_id), SIZE(kvm_pit_config), SIZE(kvm_pit_state2), SIZE(kvm_clock_data),
	OFFSET(kvm_clock_data, flags), SIZE(kvm_lapic_state), SIZE(kvm_vcpu_events), SIZE(kvm_debugregs), SIZE(kvm_xsave),
	SIZE(kvm_xcrs), SIZE(kvm_sregs2), SIZE(kvm_msr_list),
	VALUE(KVM_CAP_MCE), VALUE(KVM_CREATE_IRQCHIP), VALUE(KVM_SET_TSS_ADDR), VALUE(KVM_GET_SUPPORTED_CPUID), VALUE(KVM_SET_CPUID2),
	VALUE(KVM_GET_MSRS), VALUE(KVM_SET_MSRS), VALUE(KVM_X86_SETUP_MCE), VALUE(KVM_X86_GET_MCE_CAP_SUPPORTED),
	VALUE(KVM_X86_SET_MCE),
	OFFSET(kvm_regs, rip), OFFSET(kvm_regs, rflags), OFFSET(kvm_regs, rsp), OFFSET(kvm_regs, rdi),
	OFFSET(kvm_regs, rsi), OFFSET(kvm_sregs, cs), OFFSET(kvm_sregs, ds), OFFSET(kvm_sregs, es),
	OFFSET(kvm_sregs, fs), OFFSET(kvm_sregs, gs), OFFSET(kvm_sregs, ss), OFFSET(kvm_sregs, tr),
	OFFSET(kvm_sregs, ldt), OFFSET(kvm_sregs, gdt), OFFSET(kvm_sregs, idt), OFFSET(kvm_sregs, cr0),
	OFFSET(kvm_sregs, cr3), OFFSET(kvm_sregs, cr4), OFFSET(kvm_sregs, efer), OFFSET(kvm_sregs, apic_base),
	SIZE(kvm_segment), OFFSET(kvm_segment, base), OFFSET(kvm_segment, limit), OFFSET(kvm_segment, selector),
	OFFSET(kvm_segment, type), OFFSET(kvm_segment, present), OFFSET(kvm_segment, dpl), OFFSET(kvm_segment, db),
	OFFSET(kvm_segment, s), OFFSET(kvm_segment, l), OFFSET(kvm_segment, g), OFFSET(kvm_segment, unusable),
	SIZE(kvm_dtable), OFFSET(kvm_dtable, base), OFFSET(kvm_dtable, limit),
	SIZE(kvm_x86_mce), OFFSET(kvm_x86_mce, status), OFFSET(kvm_x86_mce, addr), OFFSET(kvm_x86_mce, misc),
	OFFSET(kvm_x86_mce, mcg_status), OFFSET(kvm_x86_mce, bank),
	SIZE(kvm_cpuid2), SIZE(kvm_cpuid_entry2), OFFSET(kvm_cpuid_entry2, function), OFFSET(kvm_cpuid_entry2, index),
	OFFSET(kvm_cpuid_entry2, flags), OFFSET(kvm_cpuid_entry2, eax), OFFSET(kvm_cpuid_entry2, ebx),
	OFFSET(kvm_cpuid_entry2, ecx), OFFSET(kvm_cpuid_entry2, edx),
	OFFSET(kvm_cpuid2, nent), OFFSET(kvm_cpuid2, entries), OFFSET(kvm_msrs, nmsrs), OFFSET(kvm_msrs, entries),
	SIZE(kvm_msrs), SIZE(kvm_msr_entry), OFFSET(kvm_msr_entry, index), OFFSET(kvm_msr_entry, data),
#endif
};

int64_t ward_constant(const char *name)
{
	for (size_t i = 0; i < sizeof(constants) / sizeof(constants[0]); i++)
		if (strcmp(constants[i].name, name) == 0)
			return constants[i].value;
	return -ENOENT;
}
