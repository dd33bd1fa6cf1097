/* The background stream: taken into a guest's memory, or only received. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

/* The next run; false at the end of the stream. */
static bool next(int peer, size_t pages, struct run *run)
{
	bool whole = receive(peer, run, sizeof(*run));

	if (!whole || run->pages > HUGE_RUN_PAGES || run->first >= pages || run->pages > pages - run->first) {
		errno = EPROTO;
		give_up("stream");
	}
	return run->pages > 0;
}

static void receive_bytes(int peer, void *to, size_t bytes)
{
	if (!receive(peer, to, bytes))
		give_up("stream");
}

/* What is answered on demand meanwhile does not come here. */
uint64_t take_stream(int peer, struct memory memory, int uffd)
{
	static char bytes[HUGE_PAGE] __attribute__((aligned(PAGE)));
	uint64_t began = 0;
	struct run run;

	while (next(peer, memory.bytes / PAGE, &run)) {
		char *page = memory.base + run.first * PAGE;

		if (began == 0)
			began = nanoseconds();
		if (run.zero) {
			place_zeros(uffd, page, run.pages * PAGE);
			continue;
		}
		receive_bytes(peer, bytes, run.pages * PAGE);
		place(uffd, page, bytes, run.pages * PAGE);
	}
	return nanoseconds() - began;
}

/* What the loopback can do: the same stream into memory that is there already, and nothing else. */
int receive_only(int port, size_t bytes)
{
	struct memory memory = map_empty(bytes, ANONYMOUS);
	uint64_t began = 0;
	struct run run;
	int peer;

	if (madvise(memory.base, bytes, MADV_POPULATE_WRITE) < 0)
		give_up("MADV_POPULATE_WRITE");
	peer = dial(port, STREAM);
	while (next(peer, bytes / PAGE, &run)) {
		if (began == 0)
			began = nanoseconds();
		if (!run.zero)
			receive_bytes(peer, memory.base + run.first * PAGE, run.pages * PAGE);
	}
	printf("{\"hostAddress\": %" PRIuPTR ", \"streamNanos\": %" PRIu64 "}\n", (uintptr_t)memory.base,
	       nanoseconds() - began);
	await_end_of_input();
	return 0;
}
