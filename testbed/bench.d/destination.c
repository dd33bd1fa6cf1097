/* The destination: resolves the faults of the threads in it. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Events read, and answers received, by one system call at most. */
#define BATCH 16

static struct memory memory;
static int uffd, source;

struct answer {
	struct demand about;
	char bytes[PAGE];
};

static void ask(const struct uffd_msg *events, size_t count)
{
	struct demand demands[BATCH];

	for (size_t i = 0; i < count; i++)
		demands[i].page = (events[i].arg.pagefault.address - (uintptr_t)memory.base) / PAGE;
	if (!transmit(source, demands, count * sizeof(demands[0])))
		give_up("send");
}

/* Whether there were any; a sleeping side waits for the first. */
static bool pass_on_faults(void)
{
	struct uffd_msg events[BATCH];
	ssize_t got = read(uffd, events, sizeof(events));

	if (got < 0 && errno != EAGAIN)
		give_up("read of the userfaultfd");
	if (got > 0)
		ask(events, (size_t)got / sizeof(events[0]));
	return got > 0;
}

static void place_answer(const struct answer *answer)
{
	if (answer->about.page >= memory.bytes / PAGE) {
		errno = EPROTO;
		give_up("answer");
	}
	place(uffd, memory.base + answer->about.page * PAGE, answer->bytes, PAGE);
}

static bool place_answers(int flags)
{
	static struct answer answers[BATCH];
	static size_t have;
	ssize_t got = recv(source, (char *)answers + have, sizeof(answers) - have, flags);
	size_t whole;

	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0)
		give_up("recv");
	have += (size_t)got;
	whole = have / sizeof(answers[0]);
	for (size_t i = 0; i < whole; i++)
		place_answer(&answers[i]);
	have -= whole * sizeof(answers[0]);
	memmove(answers, answers + whole, have);
	return true;
}

/* Two threads, each asleep in the one call that it waits for: no epoll between a fault and its answer. */
static void *pass_on_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		pass_on_faults();
	return NULL;
}

static void *place_for_ever(void *unused)
{
	(void)unused;
	for (;;)
		place_answers(0);
	return NULL;
}

/* Without the yield, on one CPU, every fault would cost several time slices of those that wait for each other. */
static void *spin_for_ever(void *unused)
{
	(void)unused;
	for (;;) {
		bool any = pass_on_faults();

		if (!place_answers(MSG_DONTWAIT) && !any)
			sched_yield();
	}
	return NULL;
}

static void resolve_faults(enum waiting waiting)
{
	if (waiting == SPINNING) {
		start_thread(spin_for_ever, NULL);
		return;
	}
	start_thread(pass_on_for_ever, NULL);
	start_thread(place_for_ever, NULL);
}

static uint64_t poison(const char *file)
{
	struct ranges lost = read_ranges(file);
	uint64_t began = nanoseconds();

	for (uint64_t i = 0; i < lost.count; i++)
		mark_lost(uffd, memory.base + lost.range[i].first * PAGE, lost.range[i].pages * PAGE);
	return nanoseconds() - began;
}

struct streamed {
	pthread_t thread;
	int port;
	bool later;
	uint64_t nanoseconds;
};

static void *stream_in(void *argument)
{
	struct streamed *streamed = argument;
	char word;

	if (streamed->later && read(STDIN_FILENO, &word, 1) != 1)
		give_up("standard input");
	streamed->nanoseconds = take_stream(dial(streamed->port, STREAM), memory, uffd);
	return NULL;
}

/* What the guest had no need of, so that all of it can be looked at. */
static void bring_the_rest(void)
{
	for (size_t at = 0; at < memory.bytes; at += PAGE)
		(void)*(volatile char *)(memory.base + at);
}

/* Brings a guest here, says what that took, and holds its memory for a look from outside until standard input ends. */
int arrive(struct errand errand)
{
	struct streamed streamed = { .port = errand.port, .later = errand.streams_later };
	uint64_t poisoned;

	memory = errand.in_memfd ? map_empty_file(errand.bytes) : map_empty(errand.bytes);
	uffd = register_missing(memory, errand.waiting);
	poisoned = errand.lost == NULL ? 0 : poison(errand.lost);
	if (errand.plan != NULL || errand.vcpus != NULL) {
		source = dial(errand.port, FAULTS);
		resolve_faults(errand.waiting);
	}
	if (errand.streams && pthread_create(&streamed.thread, NULL, stream_in, &streamed) != 0)
		give_up("pthread_create");
	if (errand.plan != NULL)
		carry_out(open_plan(errand.plan, memory), errand.threads);
	if (errand.vcpus != NULL) {
		run_guest(errand.vcpus, errand.threads, memory);
		bring_the_rest();
	}
	if (errand.streams)
		pthread_join(streamed.thread, NULL);
	printf("{\"hostAddress\": %" PRIuPTR ", \"poisonNanos\": %" PRIu64 ", \"streamNanos\": %" PRIu64 "}\n",
	       (uintptr_t)memory.base, poisoned, streamed.nanoseconds);
	await_end_of_input();
	return 0;
}
