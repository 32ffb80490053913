// Which thread of a walk does which job, so that none waits for another and two do not get in each other's way.
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core.h"

#define LARGE_PAGES_OF_JOB 4096 // from here on a process is worth being treated apart

struct agenda {
	struct walk_job *jobs;
	uint32_t *order; // the largest first
	size_t next, end; // in order: all below next are taken, and all from end on
	bool *taken; // by position in order
	uint32_t *large; // by zone: how many large jobs it has
	uint8_t *state; // by zone: see agenda_take()
	pthread_mutex_t lock;
};

// What agenda_take() hands out.
struct agenda_item {
	struct walk_job *job; // NULL: all is done
	bool opens; // agenda_opened() is to be told when it is done
};

int agenda_init(struct agenda *agenda, struct walk_job *jobs, size_t count, uint32_t zones);
void agenda_deinit(struct agenda *agenda);

// The largest job that is left and whose zone nobody is opening. The first large process of a zone writes the word of each
// frame in the census, the others find it written: two threads that did so side by side would fight for every cache line.
// Where all that is left is of such zones, the smallest, which is the least in the way.
struct agenda_item agenda_take(struct agenda *agenda);
void agenda_opened(struct agenda *agenda, uint32_t zone);

// Is this one of several large processes of its zone?
static inline bool agenda_has_siblings(const struct agenda *agenda, const struct walk_job *job)
{
	return job->expected_pages >= LARGE_PAGES_OF_JOB && agenda->large[job->zone] > 1;
}
