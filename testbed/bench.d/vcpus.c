/* A guest under KVM that measures itself (testbed/guest/toucher.S): what Ward's vCPU core does, but for everything that can go wrong. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#ifdef __x86_64__
#include <linux/kvm.h>

#define OFF_PORT 0x501
#define TSS_ADDRESS 0xfffbd000UL /* above the guest's RAM, as KVM on Intel wants it */
#define CPUID_ENTRIES 256

/* What a vCPU begins with: a file of these, as Ward's vCPU states have them too. */
struct beginning {
	struct kvm_sregs special;
	struct kvm_regs general;
};

struct vcpu {
	pthread_t thread;
	int fd;
	struct kvm_run *run;
};

static int call(int fd, unsigned long request, void *argument, const char *name)
{
	int result = ioctl(fd, request, argument);

	if (result < 0)
		give_up(name);
	return result;
}

static void *run(void *argument)
{
	struct vcpu *vcpu = argument;

	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0 && errno != EINTR)
			give_up("KVM_RUN");
		if (vcpu->run->exit_reason != KVM_EXIT_IO) {
			errno = EPROTO;
			give_up("guest");
		}
		if (vcpu->run->io.port == OFF_PORT)
			return NULL;
	}
}

static void know_the_processor(int kvm, int vcpu)
{
	struct kvm_cpuid2 *known = calloc(1, sizeof(*known) + CPUID_ENTRIES * sizeof(known->entries[0]));

	if (known == NULL)
		give_up("calloc");
	known->nent = CPUID_ENTRIES;
	call(kvm, KVM_GET_SUPPORTED_CPUID, known, "KVM_GET_SUPPORTED_CPUID");
	call(vcpu, KVM_SET_CPUID2, known, "KVM_SET_CPUID2");
	free(known);
}

static struct vcpu make_vcpu(int kvm, int vm, unsigned index, struct beginning *beginning)
{
	size_t bytes = (size_t)call(kvm, KVM_GET_VCPU_MMAP_SIZE, NULL, "KVM_GET_VCPU_MMAP_SIZE");
	struct kvm_mp_state runnable = { .mp_state = KVM_MP_STATE_RUNNABLE };
	struct vcpu vcpu = { .fd = call(vm, KVM_CREATE_VCPU, (void *)(uintptr_t)index, "KVM_CREATE_VCPU") };

	vcpu.run = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu.fd, 0);
	if (vcpu.run == MAP_FAILED)
		give_up("mmap");
	know_the_processor(kvm, vcpu.fd);
	call(vcpu.fd, KVM_SET_SREGS, &beginning->special, "KVM_SET_SREGS");
	call(vcpu.fd, KVM_SET_REGS, &beginning->general, "KVM_SET_REGS");
	/* All but the first would wait for the guest's firmware to wake them. */
	call(vcpu.fd, KVM_SET_MP_STATE, &runnable, "KVM_SET_MP_STATE");
	return vcpu;
}

static int open_kvm(void)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (kvm < 0)
		give_up("/dev/kvm");
	return kvm;
}

uint64_t tsc_kilohertz(void)
{
	int vm = call(open_kvm(), KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	int vcpu = call(vm, KVM_CREATE_VCPU, NULL, "KVM_CREATE_VCPU");

	return (uint64_t)call(vcpu, KVM_GET_TSC_KHZ, NULL, "KVM_GET_TSC_KHZ");
}

void run_guest(const char *states, unsigned count, struct memory memory)
{
	int kvm = open_kvm(), vm = call(kvm, KVM_CREATE_VM, NULL, "KVM_CREATE_VM");
	struct kvm_userspace_memory_region ram = {
		.memory_size = memory.bytes, .userspace_addr = (uintptr_t)memory.base
	};
	struct beginning *beginnings = read_whole(states, count * sizeof(*beginnings));
	struct vcpu *vcpus = calloc(count, sizeof(*vcpus));

	if (vcpus == NULL)
		give_up("calloc");
	call(vm, KVM_SET_TSS_ADDR, (void *)TSS_ADDRESS, "KVM_SET_TSS_ADDR");
	call(vm, KVM_CREATE_IRQCHIP, NULL, "KVM_CREATE_IRQCHIP");
	call(vm, KVM_SET_USER_MEMORY_REGION, &ram, "KVM_SET_USER_MEMORY_REGION");
	for (unsigned i = 0; i < count; i++)
		vcpus[i] = make_vcpu(kvm, vm, i, &beginnings[i]);
	for (unsigned i = 0; i < count; i++)
		if (pthread_create(&vcpus[i].thread, NULL, run, &vcpus[i]) != 0)
			give_up("pthread_create");
	for (unsigned i = 0; i < count; i++)
		pthread_join(vcpus[i].thread, NULL);
}
#else
uint64_t tsc_kilohertz(void)
{
	errno = ENOSYS;
	give_up("the guest is x86-64 code");
}

void run_guest(const char *states, unsigned count, struct memory memory)
{
	(void)states, (void)count, (void)memory;
	errno = ENOSYS;
	give_up("the guest is x86-64 code");
}
#endif
