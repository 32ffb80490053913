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
	uint8_t *state; // by zone: see take() in agenda.c
	pthread_mutex_t lock;
};

int agenda_init(struct agenda *agenda, struct walk_job *jobs, size_t count, uint32_t zones);
void agenda_deinit(struct agenda *agenda);

// One thread's part: do one job after the other until none is left, or until walk() says false. walk() is given a copy of
// the job, because counting in the job itself would disturb the threads that have its neighbours.
void agenda_work(struct agenda *agenda, bool (*walk)(void *walker, struct walk_job *job), void *walker);

// Is this one of several large processes of its zone?
static inline bool agenda_has_siblings(const struct agenda *agenda, const struct walk_job *job)
{
	return job->expected_pages >= LARGE_PAGES_OF_JOB && agenda->large[job->zone] > 1;
}
