/* The destination: resolves the faults of the threads in it. */
#define _GNU_SOURCE
#include "yardstick.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* Events read, and answers of 4 KiB received, by one system call at most. */
#define BATCH 16

static struct memory memory;
static int uffd, source;

/* An answer is what it is about, and then the bytes. */
static char *answers;
static size_t answer_bytes, answers_bytes;

static void make_room_for_answers(void)
{
	answer_bytes = sizeof(struct demand) + memory.unit;
	answers_bytes = memory.unit == PAGE ? BATCH * answer_bytes : answer_bytes;
	answers = malloc(answers_bytes);
	if (answers == NULL)
		give_up("malloc");
}

static void ask(const struct uffd_msg *events, size_t count)
{
	struct demand demands[BATCH];

	for (size_t i = 0; i < count; i++) {
		size_t offset = events[i].arg.pagefault.address - (uintptr_t)memory.base;

		demands[i].first = (uint32_t)(offset / memory.unit * (memory.unit / PAGE));
		demands[i].pages = (uint32_t)(memory.unit / PAGE);
	}
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

static void place_answer(const char *answer)
{
	struct demand about;

	memcpy(&about, answer, sizeof(about));
	if (about.first >= memory.bytes / PAGE) {
		errno = EPROTO;
		give_up("answer");
	}
	place(uffd, memory.base + about.first * PAGE, answer + sizeof(about), memory.unit);
}

static bool place_answers(int flags)
{
	static size_t have;
	ssize_t got = recv(source, answers + have, answers_bytes - have, flags);
	size_t at;

	if (got < 0 && errno == EAGAIN)
		return false;
	if (got <= 0)
		give_up("recv");
	have += (size_t)got;
	for (at = 0; at + answer_bytes <= have; at += answer_bytes)
		place_answer(answers + at);
	have -= at;
	memmove(answers, answers + at, have);
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
	enum role role = memory.unit == PAGE ? STREAM : HUGE_STREAM;
	char word;

	if (streamed->later && read(STDIN_FILENO, &word, 1) != 1)
		give_up("standard input");
	streamed->nanoseconds = take_stream(dial(streamed->port, role), memory, uffd);
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
	uint64_t poisoned, collapsed = 0;

	memory = map_empty(errand.bytes, errand.kind);
	uffd = register_missing(memory, errand.waiting);
	poisoned = errand.lost == NULL ? 0 : poison(errand.lost);
	if (errand.plan != NULL || errand.vcpus != NULL) {
		make_room_for_answers();
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
	if (errand.collapses) {
		bring_the_rest();
		collapsed = collapse(memory);
	}
	printf("{\"hostAddress\": %" PRIuPTR ", \"poisonNanos\": %" PRIu64 ", \"streamNanos\": %" PRIu64
	       ", \"collapseNanos\": %" PRIu64 "}\n",
	       (uintptr_t)memory.base, poisoned, streamed.nanoseconds, collapsed);
	await_end_of_input();
	return 0;
}
