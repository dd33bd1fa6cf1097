/* The background stream: taken into a guest's memory, or only received. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_inside(const struct run *run, size_t pages)
{
	return run->pages > 0 && run->pages <= RUN_PAGES && run->first < pages && run->pages <= pages - run->first;
}

uint64_t take_stream(int peer, struct memory memory, int uffd)
{
	static char bytes[RUN_PAGES * PAGE] __attribute__((aligned(PAGE)));
	size_t pages = memory.bytes / PAGE, have = 0;
	uint64_t began = 0;
	struct run run;

	while (have < pages && receive(peer, &run, sizeof(run)) && is_inside(&run, pages)) {
		char *page = memory.base + run.first * PAGE;

		if (began == 0)
			began = nanoseconds();
		if (run.zero)
			place_zeros(uffd, page, run.pages * PAGE);
		else if (receive(peer, bytes, run.pages * PAGE))
			place(uffd, page, bytes, run.pages * PAGE);
		have += run.pages;
	}
	if (have < pages) {
		errno = EPROTO;
		give_up("stream");
	}
	return nanoseconds() - began;
}

/* What the loopback can do: the same stream into memory that is there already, and nothing else. */
int receive_only(int port, size_t bytes)
{
	struct memory memory = map_empty(bytes);
	uint64_t began = 0;
	struct run run;
	int peer;

	if (madvise(memory.base, bytes, MADV_POPULATE_WRITE) < 0)
		give_up("MADV_POPULATE_WRITE");
	peer = dial(port, STREAM);
	for (size_t have = 0; have < bytes / PAGE; have += run.pages) {
		if (!receive(peer, &run, sizeof(run)) || !is_inside(&run, bytes / PAGE))
			give_up("stream");
		if (began == 0)
			began = nanoseconds();
		if (!run.zero && !receive(peer, memory.base + run.first * PAGE, run.pages * PAGE))
			give_up("stream");
	}
	printf("{\"hostAddress\": %" PRIuPTR ", \"streamNanos\": %" PRIu64 "}\n", (uintptr_t)memory.base,
	       nanoseconds() - began);
	await_end_of_input();
	return 0;
}
