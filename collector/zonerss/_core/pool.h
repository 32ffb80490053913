// The threads of a walk: which does which job, and how whoever asked for the walk only waits.
//
// A walk reads what belongs to strangers' processes, and a stranger can make the reader wait in the kernel for as long as he
// likes. So the jobs are done by threads of the walk's own, and each system call on something foreign is announced
// (foreign.h). A worker that waits in one can be left behind: what it has counted is taken over, and once the kernel lets it
// go it touches nothing of the walk any more, frees what is its own and ends.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "walk.h"

enum worker_state { WORKER_WORKS, WORKER_IN_KERNEL, WORKER_LEFT };

// What all walkers have in common; the first member of each.
struct worker {
	struct walk *walk;
	const struct walk_request *request;
	void *source;
	_Atomic int state;
	enum walk_step step; // of the last foreign system call
	struct walk_job job; // a copy: counting in the job itself would disturb the threads that have its neighbours
	size_t number;	     // of the job
	uint64_t began_ns;   // the job
	pid_t tid;
	_Atomic uint32_t calls;	    // foreign system calls so far
	int32_t waited_pid;	    // once it is left behind: for whom it waits
	struct worker *next_waited; // and the next one that was left behind
	// For whoever waits: the call that it was met in, and since when.
	uint32_t met_call;
	uint64_t met_ns;
	bool opens; // see struct queue
	bool ready; // init() was successful
};

// A way of walking: what the threads do.
struct walk_methods {
	size_t walker_bytes;		    // of the struct that begins with the worker; zeroed before init()
	int (*init)(struct worker *worker); // 0 or a negative errno
	int (*walk)(struct worker *worker); // do worker->job. 0, or a negative errno: the walk as a whole has failed
	// Give what was counted to the census. Called by the worker at its end, or by another thread once it is left behind.
	int (*settle)(struct worker *worker);	// 0 or a negative errno
	void (*dispose)(struct worker *worker); // free the walker's own; the walk may have ended long ago
	void (*release)(void *source);		// the walk and all its workers are gone; may be NULL
};

// Start a thread that nobody joins and no signal interrupts. 0 or a negative errno.
int thread_start(void *(*run)(void *), void *argument);

// Begin a walk. source: what the methods work with, released in any case. 0 or a negative errno.
int walk_begin(const struct walk_request *request, const struct walk_methods *methods, void *source, struct walk **ret);

// Is this one of several large processes of its owner?
bool worker_has_siblings(const struct worker *worker);

// How many threads work at once, at most.
uint32_t worker_count(const struct worker *worker);

// Has it been left behind? That happens in foreign system calls only: to the worker the answer holds until its next one.
static inline bool worker_is_left(const struct worker *worker)
{
	return atomic_load(&worker->state) == WORKER_LEFT;
}
