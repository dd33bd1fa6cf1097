/* Guest memory: the source's file, and the destination's empty pages behind a userfaultfd. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_COLLAPSE /* Linux 6.1; the headers may be older than the kernel */
#define MADV_COLLAPSE 25
#endif

/* Every page is mapped before the first is asked for: a source of a guest that has just been paused has them mapped too. */
struct memory map_file(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct memory memory;
	struct stat about;

	if (fd < 0 || fstat(fd, &about) < 0)
		give_up(path);
	memory.bytes = (size_t)about.st_size;
	memory.unit = PAGE;
	memory.base = mmap(NULL, memory.bytes, PROT_READ, MAP_SHARED | MAP_POPULATE, fd, 0);
	if (memory.base == MAP_FAILED)
		give_up("mmap");
	close(fd);
	return memory;
}

static struct memory map_anonymous(size_t bytes)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	char *base = mmap(NULL, bytes + HUGE_PAGE, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (base == MAP_FAILED)
		give_up("mmap");
	base += -(uintptr_t)base % HUGE_PAGE;
	return (struct memory){ base, bytes, PAGE };
}

/* Shared memory. UFFDIO_COPY brings a page there in one call: whoever writes in a second mapping first does no better. */
static struct memory map_memfd(size_t bytes)
{
	struct memory place = map_anonymous(bytes);
	int fd = memfd_create("yardstick", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)bytes) < 0)
		give_up("memfd");
	if (mmap(place.base, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, fd, 0) == MAP_FAILED)
		give_up("mmap");
	close(fd);
	return place;
}

/* Of what this host has set aside: each page of it comes whole. */
static struct memory map_huge(size_t bytes)
{
	int flags = MAP_SHARED | MAP_ANONYMOUS | MAP_HUGETLB;
	char *base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (base == MAP_FAILED)
		give_up("mmap of huge pages");
	return (struct memory){ base, bytes, HUGE_PAGE };
}

struct memory map_empty(size_t bytes, enum kind kind)
{
	if (kind == HUGETLB)
		return map_huge(bytes);
	return kind == MEMFD ? map_memfd(bytes) : map_anonymous(bytes);
}

/* What came in small pages is copied into huge ones. */
uint64_t collapse(struct memory memory)
{
	uint64_t began = nanoseconds();

	for (size_t at = 0; at < memory.bytes; at += HUGE_PAGE)
		if (madvise(memory.base + at, HUGE_PAGE, MADV_COLLAPSE) < 0)
			give_up("MADV_COLLAPSE");
	return nanoseconds() - began;
}

int register_missing(struct memory memory, enum waiting waiting)
{
	int flags = O_CLOEXEC | (waiting == SPINNING ? O_NONBLOCK : 0);
	int uffd = (int)syscall(SYS_userfaultfd, flags);
	struct uffdio_api api = { .api = UFFD_API, .features = UFFD_FEATURE_POISON };
	struct uffdio_register range = {
		.range = { (uintptr_t)memory.base, memory.bytes },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	if (uffd < 0 || ioctl(uffd, UFFDIO_API, &api) < 0 || ioctl(uffd, UFFDIO_REGISTER, &range) < 0)
		give_up("userfaultfd");
	return uffd;
}

/*
 * How far a range has come, by what the kernel says of it: bytes, or -errno for its first page. The stream and a demand may
 * bring the same page; the first one wins and has woken whoever waited, so the other goes on behind it.
 */
static size_t progress(int64_t answer, const char *call)
{
	if (answer > 0)
		return (size_t)answer;
	if (answer == -EEXIST)
		return PAGE;
	if (answer != -EAGAIN)
		give_up(call);
	return 0;
}

void place(int uffd, char *page, const void *from, size_t bytes)
{
	const char *source = from;

	for (size_t done = 0; done < bytes;) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)page + done, .src = (uintptr_t)source + done, .len = bytes - done
		};

		if (ioctl(uffd, UFFDIO_COPY, &copy) == 0)
			return;
		done += progress(copy.copy, "UFFDIO_COPY");
	}
}

void place_zeros(int uffd, char *page, size_t bytes)
{
	for (size_t done = 0; done < bytes;) {
		struct uffdio_zeropage zero = { .range = { (uintptr_t)page + done, bytes - done } };

		if (ioctl(uffd, UFFDIO_ZEROPAGE, &zero) == 0)
			return;
		done += progress(zero.zeropage, "UFFDIO_ZEROPAGE");
	}
}

void mark_lost(int uffd, char *page, size_t bytes)
{
	struct uffdio_poison poison = { .range = { (uintptr_t)page, bytes } };

	if (ioctl(uffd, UFFDIO_POISON, &poison) < 0)
		give_up("UFFDIO_POISON");
}

static void touch_every_page(struct memory memory)
{
	for (size_t at = 0; at < memory.bytes; at += PAGE)
		*(volatile char *)(memory.base + at) = 1;
}

static void touch_anew(size_t bytes, int advice)
{
	struct memory memory = map_anonymous(bytes);

	if (madvise(memory.base, bytes, advice) < 0)
		give_up("madvise");
	touch_every_page(memory);
}

/*
 * A virtual machine that reports its free pages to its host (free page reporting) pays for the first touch of each one with
 * a fault of the host: 0.15 to 0.5 GB/s, where a page that was freed just now takes 13. Who streams right after another
 * process has ended would win by that alone. The end of this one leaves free pages, small and huge, that the host still backs.
 */
int warm(size_t bytes, enum kind kind)
{
	if (kind == HUGETLB) {
		touch_every_page(map_huge(bytes));
		return 0;
	}
	touch_anew(bytes, MADV_NOHUGEPAGE);
	touch_anew(bytes, MADV_HUGEPAGE);
	return 0;
}
