// Ranges with accessed bits to clear: see slices.h.

#include "slices.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "array.h"

struct slices {
	pthread_mutex_t lock;
	struct slice *rows;
	size_t count, room;
	bool sorted;
};

int slices_create(struct slices **ret)
{
	struct slices *slices = calloc(1, sizeof(*slices));
	if (!slices)
		return -ENOMEM;
	pthread_mutex_init(&slices->lock, NULL);
	*ret = slices;
	return 0;
}

void slices_destroy(struct slices *slices)
{
	if (!slices)
		return;
	pthread_mutex_destroy(&slices->lock);
	free(slices->rows);
	free(slices);
}

int slices_add(struct slices *slices, const struct slice *rows, size_t count)
{
	pthread_mutex_lock(&slices->lock);
	int error = ARRAY_RESERVE(slices->rows, slices->room, slices->count + count);
	if (!error && count) {
		memcpy(slices->rows + slices->count, rows, count * sizeof(*rows));
		slices->count += count;
		slices->sorted = false;
	}
	pthread_mutex_unlock(&slices->lock);
	return error;
}

static int by_job(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	if (x->job != y->job)
		return x->job < y->job ? -1 : 1;
	return x->start < y->start ? -1 : x->start > y->start;
}

// The first of a job, or where it would be.
static size_t first_of(const struct slices *slices, uint64_t job)
{
	size_t low = 0, high = slices->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (slices->rows[middle].job < job)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t slices_of(struct slices *slices, uint64_t job, const struct slice **ret)
{
	if (!slices->sorted && slices->count)
		qsort(slices->rows, slices->count, sizeof(*slices->rows), by_job);
	slices->sorted = true;
	size_t first = first_of(slices, job);
	*ret = slices->rows ? slices->rows + first : NULL;
	return first_of(slices, job + 1) - first;
}
