/* The whole native surface of Ward. Every function returns >= 0 on success and -errno on failure. */
#ifndef WARD_H
#define WARD_H

#include <stdint.h>

#define WARD_EXPORT __attribute__((visibility("default")))

/* What a signal said: the parts of siginfo_t that matter for memory errors. */
struct ward_signal {
	int32_t number;
	int32_t code;
	uint64_t address;
	int32_t address_lsb;
	int32_t reserved;
};

/* One load from a guest's page and what it cost: the unit of a touch plan. Times are CLOCK_MONOTONIC, nanoseconds. */
struct ward_touch {
	uint64_t page;    /* its index; not looked at here */
	uint64_t address; /* of the word to load */
	uint64_t began;
	uint64_t waited;  /* from there until the word was in a register, or SIGBUS had been taken */
	uint64_t seen;    /* the word */
	uint64_t lost;    /* 1: SIGBUS ended the load */
};

WARD_EXPORT int64_t ward_open(const char *path, int32_t flags);
WARD_EXPORT int64_t ward_close(int32_t fd);
WARD_EXPORT int64_t ward_read(int32_t fd, uint64_t address, uint64_t length);
WARD_EXPORT int64_t ward_ioctl(int32_t fd, uint64_t request, uint64_t argument);
WARD_EXPORT int64_t ward_userfaultfd(int32_t flags);
WARD_EXPORT int64_t ward_memfd(const char *name, uint64_t length);

/* The same of huge pages of 2 MiB (hugetlbfs); length is a multiple of that. */
WARD_EXPORT int64_t ward_memfd_huge(const char *name, uint64_t length);

/* The address of a new mapping. fd < 0: private anonymous memory that a fork does not copy; else a shared mapping of fd. */
WARD_EXPORT int64_t ward_map(int32_t fd, uint64_t offset, uint64_t length, int32_t protection);
/* The same for a whole file from its beginning, to read and write: a mapping that begins at a multiple of 2 MiB, so that huge pages fit. */
WARD_EXPORT int64_t ward_map_aligned(int32_t fd, uint64_t length);
/* Puts a private mapping of fd in the place of whatever [address, address + length) holds, in one step; a fork does not copy it. */
WARD_EXPORT int64_t ward_map_over(int32_t fd, uint64_t offset, uint64_t address, uint64_t length);
/* Of a file: the first byte of data from an offset on; the bytes that are stored, without holes. */
WARD_EXPORT int64_t ward_next_data(int32_t fd, uint64_t offset);
WARD_EXPORT int64_t ward_stored(int32_t fd);
/* Forbids some changes of a memfd for good: F_SEAL_*. */
WARD_EXPORT int64_t ward_seal(int32_t fd, int32_t seals);
WARD_EXPORT int64_t ward_unmap(uint64_t address, uint64_t length);
WARD_EXPORT int64_t ward_advise(uint64_t address, uint64_t length, int32_t advice);
/* mincore(2): a byte for each page of the range, its lowest bit set where a touch finds the page in memory. */
WARD_EXPORT int64_t ward_resident(uint64_t address, uint64_t length, uint64_t bytes);

/* Copies inside this process by way of the kernel: a poisoned byte ends the copy with a short count or EFAULT, never with a signal. */
WARD_EXPORT int64_t ward_copy(uint64_t to, uint64_t from, uint64_t length);

/* Of 4096 bytes that can be read: 1 if all are zero. */
WARD_EXPORT int64_t ward_is_zero(uint64_t address);
/* How many of the pages are as the first one is, zero or not; at least 1. */
WARD_EXPORT int64_t ward_alike(uint64_t address, uint64_t pages);
/*
 * Moves the pages that are not zero together, to the front, and answers how many they are. Sets a bit for each of them where
 * it was: bit first + N of the 64-bit words at bits is page N.
 */
WARD_EXPORT int64_t ward_pack(uint64_t address, uint64_t pages, uint64_t bits, uint64_t first);
/* The reverse, in place: those that have no bit, counted from 0, are zeros afterwards. */
WARD_EXPORT int64_t ward_unpack(uint64_t address, uint64_t pages, uint64_t bits);

/* UNIX stream sockets. A descriptor may go along with the bytes of one call (SCM_RIGHTS); -1 is none. */
WARD_EXPORT int64_t ward_socket_connect(const char *path);
WARD_EXPORT int64_t ward_socket_listen(const char *path);
WARD_EXPORT int64_t ward_socket_accept(int32_t fd);
/* The process at the other end, or the one that called listen() for it. */
WARD_EXPORT int64_t ward_socket_peer(int32_t fd);
WARD_EXPORT int64_t ward_socket_send(int32_t fd, uint64_t address, uint64_t length, int32_t descriptor);
/* The bytes received, 0 at the end. A descriptor that came along is the caller's to close. */
WARD_EXPORT int64_t ward_socket_receive(int32_t fd, uint64_t address, uint64_t length, int32_t *descriptor);
/* Ends the connection for both sides, and every call that waits in it. */
WARD_EXPORT int64_t ward_socket_end(int32_t fd);

/* A descriptor of the same socket that is the caller's to close; calls on either wait from now on. */
WARD_EXPORT int64_t ward_socket_take(int32_t fd);
/* As many bytes as there are, at most length; 0 at the end. wait == 0: EAGAIN where there are none. */
WARD_EXPORT int64_t ward_receive(int32_t fd, uint64_t address, uint64_t length, int32_t wait);
WARD_EXPORT int64_t ward_send(int32_t fd, uint64_t address, uint64_t length, int32_t more);
/* A descriptor by which one thread waits for several: epoll(7), level-triggered. */
WARD_EXPORT int64_t ward_inputs_open(void);
/* watch == 0: no longer. */
WARD_EXPORT int64_t ward_inputs_watch(int32_t inputs, int32_t fd, int32_t watch);
/* 1 when one of them can be read, or has ended; 0 when none could in time. */
WARD_EXPORT int64_t ward_inputs_await(int32_t inputs, int32_t timeout_milliseconds);

WARD_EXPORT int64_t ward_thread_id(void);
/* setpriority(2) of one thread; 0: the calling one. */
WARD_EXPORT int64_t ward_nice(int32_t thread, int32_t nice);
WARD_EXPORT int64_t ward_signal_thread(int32_t thread, int32_t signal);
WARD_EXPORT int64_t ward_block_signals(uint64_t mask);
/* The calling thread hears of memory errors of this process when the host finds them (PR_MCE_KILL_EARLY), not when one is consumed. */
WARD_EXPORT int64_t ward_hear_early(void);
/* The number of a pending signal of mask (bit N-1 is signal N), taken off the calling thread; EAGAIN when none came in time. */
WARD_EXPORT int64_t ward_take_signal(uint64_t mask, struct ward_signal *taken, int64_t timeout_nanoseconds);

/*
 * Copies by loads, page by page: a load that raises SIGBUS ends it with a short count at that page, or EFAULT at the first.
 * A third of what ward_copy costs, which pins each page. Not for memory whose pages may be missing: it would wait.
 */
WARD_EXPORT int64_t ward_load(uint64_t to, uint64_t from, uint64_t length);
/*
 * Loads every 64-bit word of [address, address + length) and folds it into *hash. A load that raises SIGBUS ends it:
 * EFAULT, and *fault says what the signal carried. Needs ward_catch_bus_errors() once before.
 */
WARD_EXPORT int64_t ward_fold(uint64_t address, uint64_t length, uint64_t *hash, struct ward_signal *fault);
/* Makes the loads one after the other and writes down what each cost. Needs ward_catch_bus_errors() once before. */
WARD_EXPORT int64_t ward_touch(struct ward_touch *touches, uint64_t count);
WARD_EXPORT int64_t ward_catch_bus_errors(void);
/* MADV_HWPOISON, survived by the thread that asks for it. Needs ward_catch_bus_errors() once before. */
WARD_EXPORT int64_t ward_lose(uint64_t address, uint64_t length);

/* What the compiler knows of the kernel's ABI, by name: a number, "sizeof X" or "X.field". ENOENT: not in the table. */
WARD_EXPORT int64_t ward_constant(const char *name);

#endif
