// Ranges of processes: see slices.h.

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

static int compare(const struct slice *x, uint64_t job, uint32_t kind)
{
	if (x->job != job)
		return x->job < job ? -1 : 1;
	return x->kind < kind ? -1 : x->kind > kind;
}

static int by_job(const void *a, const void *b)
{
	const struct slice *x = a, *y = b;
	int found = compare(x, y->job, y->kind);
	if (!found && x->huge != y->huge)
		found = x->huge < y->huge ? -1 : 1;
	return found ? found : x->start < y->start ? -1 : x->start > y->start;
}

// The first of a job and a kind, or where it would be.
static size_t first_of(const struct slices *slices, uint64_t job, uint32_t kind)
{
	size_t low = 0, high = slices->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&slices->rows[middle], job, kind) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

size_t slices_of(struct slices *slices, uint64_t job, uint32_t kind, const struct slice **ret)
{
	if (!slices->sorted && slices->count)
		qsort(slices->rows, slices->count, sizeof(*slices->rows), by_job);
	slices->sorted = true;
	size_t first = first_of(slices, job, kind);
	*ret = slices->rows ? slices->rows + first : NULL;
	return first_of(slices, job, kind + 1) - first;
}
