// Which thread of a walk does which job: see agenda.h.

#include "agenda.h"

#include <errno.h>
#include <stdlib.h>

enum { ZONE_CLOSED, ZONE_OPENING, ZONE_OPEN };

static int larger_first(const void *a, const void *b, void *jobs)
{
	uint64_t x = ((const struct walk_job *)jobs)[*(const uint32_t *)a].expected_pages;
	uint64_t y = ((const struct walk_job *)jobs)[*(const uint32_t *)b].expected_pages;
	return x < y ? 1 : x > y ? -1 : 0;
}

void agenda_deinit(struct agenda *agenda)
{
	pthread_mutex_destroy(&agenda->lock);
	free(agenda->order);
	free(agenda->taken);
	free(agenda->large);
	free(agenda->state);
}

int agenda_init(struct agenda *agenda, struct walk_job *jobs, size_t count, uint32_t zones)
{
	*agenda = (struct agenda){ .jobs = jobs, .end = count };
	pthread_mutex_init(&agenda->lock, NULL);
	agenda->order = malloc((count + 1) * sizeof(*agenda->order));
	agenda->taken = calloc(count + 1, sizeof(*agenda->taken));
	agenda->large = calloc(zones + 1, sizeof(*agenda->large));
	agenda->state = calloc(zones + 1, sizeof(*agenda->state));
	if (!agenda->order || !agenda->taken || !agenda->large || !agenda->state) {
		agenda_deinit(agenda);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++) {
		agenda->order[i] = i;
		agenda->large[jobs[i].zone] += jobs[i].expected_pages >= LARGE_PAGES_OF_JOB;
	}
	qsort_r(agenda->order, count, sizeof(*agenda->order), larger_first, jobs);
	return 0;
}

static struct walk_job *job_at(const struct agenda *agenda, size_t position)
{
	return &agenda->jobs[agenda->order[position]];
}

struct item {
	struct walk_job *job; // NULL: all is done
	bool opens; // its zone: opened() is to be told when it is done
};

// The largest job that is left and whose zone nobody is opening. The first large process of a zone writes the word of each
// frame in the census, the others find it written: two threads that did so side by side would fight for every cache line.
// Where all that is left is of such zones, the smallest, which is the least in the way.
static struct item take(struct agenda *agenda)
{
	struct item item = { 0 };
	pthread_mutex_lock(&agenda->lock);
	while (agenda->next < agenda->end && agenda->taken[agenda->next])
		agenda->next++;
	while (agenda->next < agenda->end && agenda->taken[agenda->end - 1])
		agenda->end--;
	size_t found = agenda->end - 1;
	for (size_t i = agenda->next; i < agenda->end; i++)
		if (!agenda->taken[i] && agenda->state[job_at(agenda, i)->zone] != ZONE_OPENING) {
			found = i;
			break;
		}
	if (agenda->next < agenda->end) {
		agenda->taken[found] = true;
		item.job = job_at(agenda, found);
		uint8_t *state = &agenda->state[item.job->zone];
		item.opens = *state == ZONE_CLOSED && agenda_has_siblings(agenda, item.job);
		*state = item.opens ? ZONE_OPENING : *state;
	}
	pthread_mutex_unlock(&agenda->lock);
	return item;
}

static void opened(struct agenda *agenda, uint32_t zone)
{
	pthread_mutex_lock(&agenda->lock);
	agenda->state[zone] = ZONE_OPEN;
	pthread_mutex_unlock(&agenda->lock);
}

void agenda_work(struct agenda *agenda, bool (*walk)(void *walker, struct walk_job *job), void *walker)
{
	bool more = true;
	for (struct item item; more && (item = take(agenda)).job;) {
		struct walk_job mine = *item.job;
		more = walk(walker, &mine);
		*item.job = mine;
		if (item.opens)
			opened(agenda, mine.zone);
	}
}
