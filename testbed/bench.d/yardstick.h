/*
 * The yardstick: the least that a post-copy pair has to do, in C. No poison that travels, no ledger, no checksum, no
 * recovery: a bound to compare Ward with, not a peer of it.
 *
 * It is as Ward is where that decides what a comparison is worth: two processes joined by TCP on the loopback; the source
 * maps the same memory file; the destination is one process that holds the guest's memory, the threads that
 * touch it, and whatever resolves their faults; the threads run Ward's own touch loop (native-stubs/signals.c) over the
 * same plan. Neither side may know the plan in advance, and neither sends what nobody has asked for unless it streams.
 */
#ifndef YARDSTICK_H
#define YARDSTICK_H

#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PAGE ((size_t)4096)
#define HUGE_PAGE ((size_t)2 << 20)

#ifndef UFFDIO_POISON /* Linux 6.6; the headers may be older than the kernel */
#define UFFD_FEATURE_POISON (1 << 14)
struct uffdio_poison {
	struct uffdio_range range;
	__u64 mode;
	__s64 updated;
};
#define UFFDIO_POISON _IOWR(UFFDIO, 0x08, struct uffdio_poison)
#endif

/* How a side waits: in the kernel, or by asking again and again. */
enum waiting { SLEEPING, SPINNING };

/* The first word on a connection. */
enum role { FAULTS = 1, STREAM = 2, HUGE_STREAM = 3 };

/* What a side asks for, and what precedes every answer. */
struct demand {
	uint32_t first, pages;
};

/* Precedes a run of the stream: the bytes of its pages follow, unless they are zero. No page: that was all. */
struct run {
	uint64_t first;
	uint32_t pages;
	uint32_t zero;
};

/* The most pages of a run: 256 KiB stay in the cache between the socket and UFFDIO_COPY, but a huge page comes whole. */
#define RUN_PAGES 64
#define HUGE_RUN_PAGES (HUGE_PAGE / PAGE)

/* memory.c */
struct memory {
	char *base;
	size_t bytes;
	size_t unit; /* what comes at a time at least */
};
enum kind { ANONYMOUS, MEMFD, HUGETLB };
struct memory map_file(const char *path);
struct memory map_empty(size_t bytes, enum kind kind);
uint64_t collapse(struct memory memory); /* nanoseconds */
int warm(size_t bytes, enum kind kind);
int register_missing(struct memory memory, enum waiting waiting);
void place(int uffd, char *page, const void *from, size_t bytes);
void place_zeros(int uffd, char *page, size_t bytes);
void mark_lost(int uffd, char *page, size_t bytes);

/* net.c */
int listen_on_loopback(void);
int port_of(int listener);
int accept_peer(int listener);
int dial(int port, enum role role);
bool receive(int peer, void *to, size_t bytes);
bool transmit(int peer, const void *from, size_t bytes);

/* What a destination is asked to do. */
struct errand {
	int port;
	size_t bytes;         /* of guest memory */
	const char *plan;     /* what its threads touch; NULL if nothing runs */
	const char *vcpus;    /* what its vCPUs begin with; NULL if threads touch its memory */
	unsigned threads;     /* or vCPUs */
	enum kind kind;       /* of memory */
	bool collapses;       /* when all is here: to huge pages */
	bool streams;         /* whether pages come unasked too */
	bool streams_later;   /* not before a byte comes on standard input */
	const char *lost;     /* ranges to poison before anything runs; NULL if none */
	enum waiting waiting;
};

/* The verbs. */
int serve(const char *memory_file, enum waiting waiting);
int arrive(struct errand errand);
int receive_only(int port, size_t bytes);

/* stream.c: takes the whole stream; the nanoseconds from its first byte to the last page in place. */
uint64_t take_stream(int peer, struct memory memory, int uffd);

/* plan.c */
struct plan {
	struct ward_touch *touches;
	size_t count;
};
struct plan open_plan(const char *file, struct memory memory);
void carry_out(struct plan plan, unsigned threads);
struct ranges {
	struct range {
		uint64_t first, pages;
	} *range;
	size_t count;
};
struct ranges read_ranges(const char *file);
void *read_whole(const char *path, size_t bytes); /* fails on a file that is shorter */

/* vcpus.c: runs a guest under KVM until every vCPU has switched itself off. */
uint64_t tsc_kilohertz(void); /* of a guest's clock */
void run_guest(const char *states, unsigned count, struct memory memory);

/* main.c */
_Noreturn void give_up(const char *what);
uint64_t nanoseconds(void);
void start_thread(void *(*run)(void *), void *argument);
void await_end_of_input(void); /* then the process is to end */

#endif
