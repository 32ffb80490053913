// The jobs of a walk that are still to be done, and which comes next.
//
// The largest comes first, so that no thread is left alone with a large one at the end. But the first large process of an owner
// writes the word of each frame in the census, the others find it written: two threads that did so side by side would fight for
// every cache line. So while one thread opens an owner, the other jobs of that owner wait, unless there are no others.
//
// Not for several threads at once: whoever calls holds a lock.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "walk.h"

#define LARGE_PAGES_OF_JOB 4096 // from here on a process is worth being treated apart

struct queue_owner;

struct queue {
	const struct walk_job *jobs;
	uint32_t *order; // the largest first
	uint32_t *later; // [job]: the next one in the list that the job is in; JOB_NONE: it is the last
	size_t next, count;
	struct queue_owner *owners;
	uint32_t opening; // owners that are being opened and whose jobs wait, as a list; OWNER_NONE: there are none
	uint32_t ready;	  // jobs that have waited and may be done, the largest of each owner first
};

// 0 or -ENOMEM.
int queue_init(struct queue *queue, const struct walk_job *jobs, size_t count);
void queue_deinit(struct queue *queue);

// The number of the next job. opens: queue_opened() is to be called when it is done. false: there is none left.
bool queue_take(struct queue *queue, size_t *number, bool *opens);
void queue_opened(struct queue *queue, uint32_t owner);

// Is there any job left?
bool queue_waits(const struct queue *queue);

// Is this one of several large processes of its owner?
bool queue_has_siblings(const struct queue *queue, const struct walk_job *job);
