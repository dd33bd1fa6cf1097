/* Signals of one thread, and the one place where Ward itself loads from memory that may be poisoned. */
#define _GNU_SOURCE
#include "ward.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static void members(uint64_t mask, sigset_t *set)
{
	sigemptyset(set);
	for (int number = 1; number <= 64; number++)
		if (mask >> (number - 1) & 1)
			sigaddset(set, number);
}

static void describe(const siginfo_t *info, struct ward_signal *signal)
{
	signal->number = info->si_signo;
	signal->code = info->si_code;
	signal->address = info->si_signo == SIGBUS ? (uint64_t)(uintptr_t)info->si_addr : 0;
	signal->address_lsb = info->si_signo == SIGBUS ? info->si_addr_lsb : 0;
	signal->reserved = 0;
}

int64_t ward_thread_id(void)
{
	return syscall(SYS_gettid);
}

int64_t ward_nice(int32_t thread, int32_t nice)
{
	return setpriority(PRIO_PROCESS, (id_t)thread, nice) < 0 ? -errno : 0;
}

int64_t ward_signal_thread(int32_t thread, int32_t signal)
{
	return syscall(SYS_tgkill, getpid(), thread, signal) < 0 ? -errno : 0;
}

int64_t ward_block_signals(uint64_t mask)
{
	sigset_t set;

	members(mask, &set);
	return -pthread_sigmask(SIG_BLOCK, &set, NULL);
}

int64_t ward_hear_early(void)
{
	return prctl(PR_MCE_KILL, PR_MCE_KILL_SET, PR_MCE_KILL_EARLY, 0, 0) == 0 ? 0 : -errno;
}

int64_t ward_take_signal(uint64_t mask, struct ward_signal *taken, int64_t timeout_nanoseconds)
{
	struct timespec timeout = { timeout_nanoseconds / 1000000000, timeout_nanoseconds % 1000000000 };
	siginfo_t info;
	sigset_t set;
	int number;

	members(mask, &set);
	number = sigtimedwait(&set, &info, &timeout);
	if (number < 0)
		return -errno;
	describe(&info, taken);
	return number;
}

/* Volatile: the compiler takes it for granted that libc's functions run nothing of this file meanwhile. */
static __thread sigjmp_buf *volatile recovery;
static __thread struct ward_signal *volatile reported;
static struct sigaction before;
static pthread_once_t installed = PTHREAD_ONCE_INIT;
static int64_t install_result;

static void on_bus_error(int number, siginfo_t *info, void *context)
{
	if (recovery != NULL) {
		describe(info, reported);
		siglongjmp(*recovery, 1);
	}
	/* Not ours: the JVM turns a fault in a file mapping into an InternalError. */
	if (before.sa_flags & SA_SIGINFO)
		before.sa_sigaction(number, info, context);
	else
		signal(SIGBUS, SIG_DFL); /* the instruction runs again and ends the process as it would have */
}

static void install(void)
{
	/* SA_NODEFER: the long jump leaves the handler without restoring the signal mask. */
	struct sigaction action = { .sa_sigaction = on_bus_error, .sa_flags = SA_SIGINFO | SA_NODEFER | SA_ONSTACK };

	sigemptyset(&action.sa_mask);
	install_result = sigaction(SIGBUS, &action, &before) < 0 ? -errno : 0;
}

int64_t ward_catch_bus_errors(void)
{
	pthread_once(&installed, install);
	return install_result;
}

/* The same arithmetic stands in the guest program and in ward.testbed: three witnesses of the same bytes. */
static uint64_t folded(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15u;
	return hash ^ hash >> 32;
}

/* A function of its own, so that no local variable of it lives across the jump. */
static __attribute__((noinline)) void fold(const volatile uint64_t *words, uint64_t count, uint64_t *hash)
{
	uint64_t folding = *hash;

	for (uint64_t i = 0; i < count; i++)
		folding = folded(folding, words[i]);
	*hash = folding;
}

int64_t ward_fold(uint64_t address, uint64_t length, uint64_t *hash, struct ward_signal *fault)
{
	sigjmp_buf here;

	if (sigsetjmp(here, 0) != 0) {
		recovery = NULL;
		return -EFAULT;
	}
	reported = fault;
	recovery = &here;
	fold((const volatile uint64_t *)(uintptr_t)address, length / sizeof(uint64_t), hash);
	recovery = NULL;
	return 0;
}

#define PAGE_BYTES 4096

/* A function of its own, as fold: what is done lives in the caller's volatile variable. */
static __attribute__((noinline)) void load(char *to, const char *from, uint64_t length, volatile uint64_t *done)
{
	for (uint64_t at = 0; at < length; *done = at) {
		uint64_t left = PAGE_BYTES - ((uintptr_t)(from + at) & (PAGE_BYTES - 1));
		uint64_t bytes = left < length - at ? left : length - at;

		memcpy(to + at, from + at, bytes);
		at += bytes;
	}
}

int64_t ward_load(uint64_t to, uint64_t from, uint64_t length)
{
	static __thread struct ward_signal told;
	volatile uint64_t done = 0;
	int64_t caught = ward_catch_bus_errors();
	sigjmp_buf here;

	if (caught < 0)
		return caught;
	if (sigsetjmp(here, 0) != 0) {
		recovery = NULL;
		return done > 0 ? (int64_t)done : -EFAULT;
	}
	reported = &told;
	recovery = &here;
	load((char *)(uintptr_t)to, (const char *)(uintptr_t)from, length, &done);
	recovery = NULL;
	return (int64_t)done;
}

static uint64_t now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static void touch(struct ward_touch *one)
{
	static __thread struct ward_signal told;
	sigjmp_buf here;

	one->lost = 0;
	if (sigsetjmp(here, 0) != 0) {
		recovery = NULL;
		one->waited = now() - one->began;
		one->lost = 1;
		return;
	}
	reported = &told;
	recovery = &here;
	one->began = now();
	one->seen = *(const volatile uint64_t *)(uintptr_t)one->address;
	one->waited = now() - one->began;
	recovery = NULL;
}

int64_t ward_touch(struct ward_touch *touches, uint64_t count)
{
	for (uint64_t i = 0; i < count; i++)
		touch(&touches[i]);
	return 0;
}

int64_t ward_lose(uint64_t address, uint64_t length)
{
	static __thread struct ward_signal told;
	sigjmp_buf here;
	int64_t result;

	/* Newer kernels treat the caller as one that consumed the loss, and force SIGBUS upon it: the loss is done then. */
	if (sigsetjmp(here, 0) != 0) {
		recovery = NULL;
		return 0;
	}
	reported = &told;
	recovery = &here;
	result = madvise((void *)(uintptr_t)address, length, MADV_HWPOISON) < 0 ? -errno : 0;
	recovery = NULL;
	return result;
}
