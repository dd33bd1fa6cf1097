/* The source: answers demands out of a file, and streams what is in it. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* As many as threads may wait at a time; all that have come are answered by one system call. */
#define DEMANDS 64

static struct memory memory;
static bool *answered; /* by page: the stream leaves out what has gone already */
static enum waiting waiting;

/* Bytes received, at least one; 0 when the peer has left. */
static size_t some(int peer, void *to, size_t bytes)
{
	for (;;) {
		ssize_t got = recv(peer, to, bytes, waiting == SPINNING ? MSG_DONTWAIT : 0);

		if (got >= 0)
			return (size_t)got;
		if (errno != EAGAIN)
			return 0;
		sched_yield();
	}
}

static bool transmit_parts(int peer, struct iovec *parts, int count)
{
	while (count > 0) {
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
		ssize_t sent = sendmsg(peer, &message, MSG_NOSIGNAL);

		if (sent <= 0)
			return false;
		for (; count > 0 && (size_t)sent >= parts->iov_len; parts++, count--)
			sent -= (ssize_t)parts->iov_len;
		if (count > 0) {
			parts->iov_base = (char *)parts->iov_base + sent;
			parts->iov_len -= (size_t)sent;
		}
	}
	return true;
}

static bool mark_answered(struct demand demand)
{
	size_t pages = memory.bytes / PAGE;

	if (demand.first >= pages || demand.pages > pages - demand.first)
		return false;
	memset(answered + demand.first, true, demand.pages);
	return true;
}

static bool answer(int peer, struct demand *demands, size_t count)
{
	struct iovec parts[2 * DEMANDS];

	for (size_t i = 0; i < count; i++) {
		if (!mark_answered(demands[i]))
			return false;
		parts[2 * i] = (struct iovec){ &demands[i], sizeof(demands[i]) };
		parts[2 * i + 1] = (struct iovec){ memory.base + demands[i].first * PAGE, demands[i].pages * PAGE };
	}
	return transmit_parts(peer, parts, 2 * (int)count);
}

static void answer_demands(int peer)
{
	struct demand demands[DEMANDS];
	size_t have = 0;

	for (;;) {
		size_t got = some(peer, (char *)demands + have, sizeof(demands) - have);
		size_t whole = (have + got) / sizeof(demands[0]);

		if (got == 0 || !answer(peer, demands, whole))
			return;
		have = have + got - whole * sizeof(demands[0]);
		memmove(demands, demands + whole, have);
	}
}

static bool is_zero(const char *page)
{
	return page[0] == 0 && memcmp(page, page + 1, PAGE - 1) == 0;
}

static uint64_t next_unanswered(uint64_t page)
{
	while (page < memory.bytes / PAGE && answered[page])
		page++;
	return page;
}

/* The pages from first on that are all zero or all not, as many as a run may have. */
static struct run run_from(uint64_t first, size_t most)
{
	uint64_t end = memory.bytes / PAGE;
	struct run run = { .first = first, .zero = is_zero(memory.base + first * PAGE) };

	if (end - first > most)
		end = first + most;
	for (run.pages = 1; first + run.pages < end; run.pages++)
		if (answered[first + run.pages] || is_zero(memory.base + (first + run.pages) * PAGE) != run.zero)
			break;
	return run;
}

static void stream(int peer, size_t most)
{
	struct run end = { 0 };

	for (uint64_t page = next_unanswered(0); page < memory.bytes / PAGE;) {
		struct run run = run_from(page, most);
		struct iovec parts[2] = {
			{ &run, sizeof(run) }, { memory.base + run.first * PAGE, run.pages * PAGE }
		};

		if (!transmit_parts(peer, parts, run.zero ? 1 : 2))
			return;
		page = next_unanswered(page + run.pages);
	}
	transmit(peer, &end, sizeof(end));
}

static void *converse(void *argument)
{
	int peer = (int)(intptr_t)argument;
	uint32_t role = 0;

	if (receive(peer, &role, sizeof(role)) && role == FAULTS)
		answer_demands(peer);
	else if (role == STREAM || role == HUGE_STREAM)
		stream(peer, role == STREAM ? RUN_PAGES : HUGE_RUN_PAGES);
	close(peer);
	return NULL;
}

static void *accept_all(void *argument)
{
	int listener = (int)(intptr_t)argument;

	for (;;)
		start_thread(converse, (void *)(intptr_t)accept_peer(listener));
	return NULL;
}

/* Answers whoever comes, on a port that it prints, until its standard input ends. */
int serve(const char *memory_file, enum waiting how)
{
	int listener = listen_on_loopback();

	waiting = how;
	memory = map_file(memory_file);
	answered = calloc(memory.bytes / PAGE, sizeof(*answered));
	if (answered == NULL)
		give_up("calloc");
	start_thread(accept_all, (void *)(intptr_t)listener);
	printf("{\"port\": %d}\n", port_of(listener));
	await_end_of_input();
	return 0;
}
