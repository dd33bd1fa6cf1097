/*
 * yardstick serve FILE sleeping|spinning
 *     answers demands for pages of FILE and streams them, on a port that it prints
 * yardstick arrive PORT BYTES THREADS sleeping|spinning [plan=FILE|vcpus=FILE] [stream|stream-later] [lost=FILE]
 *                 [memory=anonymous|memfd|hugetlb] [collapse]
 *     brings the guest here: poison first, then the touches of a plan, answered on demand, and the stream beside them,
 *     at once or when a byte comes on standard input; or the guest itself, which begins with the registers in a file;
 *     then, if told so, huge pages made of it
 * yardstick receive PORT BYTES
 *     takes the stream into memory that is there already: the loopback's own limit
 * yardstick warm BYTES anonymous|hugetlb
 *     leaves so much free memory that the next process need not wait for the host of this virtual machine, twice
 * yardstick clock
 *     how fast a guest's TSC counts
 *
 * Each prints one JSON object a line and lives, the last ones excepted, until its standard input ends.
 */
#define _GNU_SOURCE
#include "yardstick.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

_Noreturn void give_up(const char *what)
{
	perror(what);
	_exit(1);
}

uint64_t nanoseconds(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

void start_thread(void *(*run)(void *), void *argument)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, run, argument) != 0)
		give_up("pthread_create");
	pthread_detach(thread);
}

void await_end_of_input(void)
{
	char unused;

	fflush(stdout);
	while (read(STDIN_FILENO, &unused, 1) > 0)
		;
}

static _Noreturn void misused(void)
{
	fprintf(stderr, "usage: the head of main.c\n");
	exit(2);
}

static enum waiting waiting_of(const char *word)
{
	if (strcmp(word, "spinning") != 0 && strcmp(word, "sleeping") != 0)
		misused();
	return strcmp(word, "spinning") == 0 ? SPINNING : SLEEPING;
}

static enum kind kind_of(const char *word)
{
	static const char *const names[] = { "anonymous", "memfd", "hugetlb" };

	for (int kind = ANONYMOUS; kind <= HUGETLB; kind++)
		if (strcmp(word, names[kind]) == 0)
			return (enum kind)kind;
	misused();
}

/* The rest of NAME=value; NULL if the word is another one. */
static const char *value_of(const char *word, const char *name)
{
	size_t length = strlen(name);

	return strncmp(word, name, length) == 0 && word[length] == '=' ? word + length + 1 : NULL;
}

static void add_wish(struct errand *errand, const char *word)
{
	if (strcmp(word, "stream") == 0)
		errand->streams = true;
	else if (strcmp(word, "stream-later") == 0)
		errand->streams = errand->streams_later = true;
	else if (strcmp(word, "collapse") == 0)
		errand->collapses = true;
	else if (value_of(word, "memory") != NULL)
		errand->kind = kind_of(value_of(word, "memory"));
	else if (value_of(word, "plan") != NULL)
		errand->plan = value_of(word, "plan");
	else if (value_of(word, "vcpus") != NULL)
		errand->vcpus = value_of(word, "vcpus");
	else if (value_of(word, "lost") != NULL)
		errand->lost = value_of(word, "lost");
	else
		misused();
}

static int arrive_as_told(char **words, int count)
{
	struct errand errand = {
		.port = atoi(words[0]),
		.bytes = strtoull(words[1], NULL, 10),
		.threads = (unsigned)atoi(words[2]),
		.waiting = waiting_of(words[3]),
	};

	if (errand.bytes == 0 || errand.threads == 0)
		misused();
	for (int i = 4; i < count; i++)
		add_wish(&errand, words[i]);
	return arrive(errand);
}

int main(int count, char **words)
{
	const char *verb = count > 1 ? words[1] : "";

	if (strcmp(verb, "serve") == 0 && count == 4)
		return serve(words[2], waiting_of(words[3]));
	if (strcmp(verb, "arrive") == 0 && count >= 6)
		return arrive_as_told(words + 2, count - 2);
	if (strcmp(verb, "receive") == 0 && count == 4)
		return receive_only(atoi(words[2]), strtoull(words[3], NULL, 10));
	if (strcmp(verb, "warm") == 0 && count == 4)
		return warm(strtoull(words[2], NULL, 10), kind_of(words[3]));
	if (strcmp(verb, "clock") == 0 && count == 2)
		return printf("{\"tscKilohertz\": %" PRIu64 "}\n", tsc_kilohertz()) < 0;
	misused();
}
