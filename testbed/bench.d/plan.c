/* What the guest does: threads that touch pages in a given order, by Ward's own loop. */
#define _GNU_SOURCE
#include "yardstick.h"

#include "ward.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

static void *map_whole(const char *path, size_t *bytes)
{
	int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat about;
	void *mapped;

	if (fd < 0 || fstat(fd, &about) < 0)
		give_up(path);
	*bytes = (size_t)about.st_size;
	mapped = mmap(NULL, *bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mapped == MAP_FAILED)
		give_up("mmap");
	close(fd);
	return mapped;
}

void *read_whole(const char *path, size_t bytes)
{
	size_t there;
	void *mapped = map_whole(path, &there);

	if (there < bytes) {
		errno = EINVAL;
		give_up(path);
	}
	return mapped;
}

struct plan open_plan(const char *file, struct memory memory)
{
	size_t bytes;
	struct plan plan = { .touches = map_whole(file, &bytes) };

	plan.count = bytes / sizeof(plan.touches[0]);
	for (size_t i = 0; i < plan.count; i++)
		plan.touches[i].address = (uintptr_t)memory.base + plan.touches[i].page * PAGE;
	return plan;
}

struct share {
	pthread_t thread;
	struct ward_touch *first;
	size_t count;
};

static void *walk(void *argument)
{
	struct share *share = argument;

	ward_touch(share->first, share->count);
	return NULL;
}

/* Every thread its part of the lines, as in Ward. */
void carry_out(struct plan plan, unsigned threads)
{
	struct share *shares = calloc(threads, sizeof(*shares));

	if (shares == NULL || ward_catch_bus_errors() < 0)
		give_up("touch");
	for (unsigned i = 0; i < threads; i++) {
		size_t from = plan.count * i / threads, to = plan.count * (i + 1) / threads;

		shares[i].first = plan.touches + from;
		shares[i].count = to - from;
		if (pthread_create(&shares[i].thread, NULL, walk, &shares[i]) != 0)
			give_up("pthread_create");
	}
	for (unsigned i = 0; i < threads; i++)
		pthread_join(shares[i].thread, NULL);
	free(shares);
}

struct ranges read_ranges(const char *file)
{
	size_t bytes;
	struct ranges ranges = { .range = map_whole(file, &bytes) };

	ranges.count = bytes / sizeof(ranges.range[0]);
	return ranges;
}
