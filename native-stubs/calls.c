/* System calls that the JDK lacks. EINTR is returned, never retried: to KVM_RUN it means that another thread kicked this vCPU. */
#define _GNU_SOURCE
#include "ward.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#ifndef MFD_HUGE_SHIFT /* Linux 4.14, but not in every C library */
#define MFD_HUGE_SHIFT 26
#endif

static int64_t answer(int64_t result)
{
	return result < 0 ? -errno : result;
}

static void *pointer(uint64_t address)
{
	return (void *)(uintptr_t)address;
}

int64_t ward_open(const char *path, int32_t flags)
{
	return answer(open(path, flags | O_CLOEXEC));
}

int64_t ward_close(int32_t fd)
{
	return answer(close(fd));
}

int64_t ward_read(int32_t fd, uint64_t address, uint64_t length)
{
	return answer(read(fd, pointer(address), length));
}

int64_t ward_ioctl(int32_t fd, uint64_t request, uint64_t argument)
{
	return answer(ioctl(fd, request, argument));
}

int64_t ward_userfaultfd(int32_t flags)
{
	return answer(syscall(SYS_userfaultfd, flags));
}

static int64_t memfd(const char *name, uint64_t length, uint32_t flags)
{
	int fd = memfd_create(name, MFD_CLOEXEC | flags);
	int64_t result;

	if (fd < 0 || ftruncate(fd, (off_t)length) == 0)
		return answer(fd);
	result = -errno;
	close(fd);
	return result;
}

int64_t ward_memfd(const char *name, uint64_t length)
{
	return memfd(name, length, MFD_ALLOW_SEALING);
}

int64_t ward_memfd_huge(const char *name, uint64_t length)
{
	const uint32_t log2_of_2_mib = 21;

	return memfd(name, length, MFD_HUGETLB | log2_of_2_mib << MFD_HUGE_SHIFT);
}

int64_t ward_map(int32_t fd, uint64_t offset, uint64_t length, int32_t protection)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE : MAP_SHARED;
	void *mapped = mmap(NULL, length, protection, flags, fd, (off_t)offset);

	if (mapped == MAP_FAILED)
		return -errno;
	/* A child of this process must never inherit a guest's memory, least of all with its poison markers missing. */
	if (madvise(mapped, length, MADV_DONTFORK) != 0) {
		int64_t result = -errno;

		munmap(mapped, length);
		return result;
	}
	return (int64_t)(uintptr_t)mapped;
}

int64_t ward_map_aligned(int32_t fd, uint64_t length)
{
	const uint64_t huge = UINT64_C(2) << 20;
	const int place = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	void *reserved = mmap(NULL, length + huge, PROT_NONE, place, -1, 0);
	uint64_t begin, first;
	int64_t result;

	if (reserved == MAP_FAILED)
		return -errno;
	begin = (uint64_t)(uintptr_t)reserved;
	first = (begin + huge - 1) & ~(huge - 1);
	if (mmap(pointer(first), length, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED ||
	    madvise(pointer(first), length, MADV_DONTFORK) != 0) {
		result = -errno;
		munmap(reserved, length + huge);
		return result;
	}
	if (first > begin)
		munmap(reserved, first - begin);
	if (begin + huge > first)
		munmap(pointer(first + length), begin + huge - first);
	return (int64_t)first;
}

int64_t ward_map_over(int32_t fd, uint64_t offset, uint64_t address, uint64_t length)
{
	int flags = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE;

	if (mmap(pointer(address), length, PROT_READ | PROT_WRITE, flags, fd, (off_t)offset) == MAP_FAILED)
		return -errno;
	return answer(madvise(pointer(address), length, MADV_DONTFORK));
}

int64_t ward_next_data(int32_t fd, uint64_t offset)
{
	return answer(lseek(fd, (off_t)offset, SEEK_DATA));
}

int64_t ward_stored(int32_t fd)
{
	struct stat file;

	return fstat(fd, &file) < 0 ? -errno : file.st_blocks * 512;
}

int64_t ward_seal(int32_t fd, int32_t seals)
{
	return answer(fcntl(fd, F_ADD_SEALS, seals));
}

int64_t ward_unmap(uint64_t address, uint64_t length)
{
	return answer(munmap(pointer(address), length));
}

int64_t ward_advise(uint64_t address, uint64_t length, int32_t advice)
{
	return answer(madvise(pointer(address), length, advice));
}

int64_t ward_resident(uint64_t address, uint64_t length, uint64_t bytes)
{
	return answer(mincore(pointer(address), length, pointer(bytes)));
}

/* Never forked from: a JVM. glibc asks the kernel each time, which a page that is copied by itself feels. */
static pid_t this_process;

__attribute__((constructor)) static void remember_this_process(void)
{
	this_process = getpid();
}

int64_t ward_copy(uint64_t to, uint64_t from, uint64_t length)
{
	struct iovec local = { pointer(to), length }, remote = { pointer(from), length };

	return answer(process_vm_readv(this_process, &local, 1, &remote, 1, 0));
}

#define PAGE_WORDS (4096 / sizeof(uint64_t))

/* Data is mostly told by its first words; eight at a time, so that the compiler takes wide registers for what is zero. */
int64_t ward_is_zero(uint64_t address)
{
	const uint64_t *words = pointer(address);

	for (size_t i = 0; i < PAGE_WORDS; i += 8) {
		uint64_t any = 0;

		for (size_t j = 0; j < 8; j++)
			any |= words[i + j];
		if (any != 0)
			return 0;
	}
	return 1;
}

int64_t ward_alike(uint64_t address, uint64_t pages)
{
	int64_t zero = ward_is_zero(address);
	uint64_t alike = 1;

	while (alike < pages && ward_is_zero(address + alike * sizeof(uint64_t) * PAGE_WORDS) == zero)
		alike++;
	return (int64_t)alike;
}

#define PAGE_BYTES 4096
#define WORD_BITS 64

int64_t ward_pack(uint64_t address, uint64_t pages, uint64_t bits, uint64_t first)
{
	uint64_t *words = pointer(bits);
	uint64_t packed = 0;

	for (uint64_t i = 0; i < pages; i++) {
		if (ward_is_zero(address + i * PAGE_BYTES))
			continue;
		words[(first + i) / WORD_BITS] |= UINT64_C(1) << (first + i) % WORD_BITS;
		if (i > packed)
			memcpy(pointer(address + packed * PAGE_BYTES), pointer(address + i * PAGE_BYTES), PAGE_BYTES);
		packed++;
	}
	return (int64_t)packed;
}

/* From the last one on: none is overwritten before it has moved, as none moves towards the front. */
int64_t ward_unpack(uint64_t address, uint64_t pages, uint64_t bits)
{
	const uint64_t *words = pointer(bits);
	uint64_t left = 0;

	for (uint64_t i = 0; i < pages; i++)
		left += words[i / WORD_BITS] >> i % WORD_BITS & 1;
	for (uint64_t i = pages; i-- > left;) {
		void *page = pointer(address + i * PAGE_BYTES);

		if ((words[i / WORD_BITS] >> i % WORD_BITS & 1) == 0)
			memset(page, 0, PAGE_BYTES);
		else
			memcpy(page, pointer(address + --left * PAGE_BYTES), PAGE_BYTES);
	}
	return 0;
}
