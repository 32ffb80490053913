// A job of a walk: how it is found still to be what was listed, and how its gaps are noted.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "marker.h"
#include "pageflags.h"
#include "pool.h"

// Says what the system calls to come are for.
static inline void job_step(struct worker *worker, enum walk_step step)
{
	if (!worker_is_left(worker))
		worker->step = step;
}

// Notes a gap, unless there is one already or the worker has been left behind.
static inline void job_gap(struct worker *worker, enum walk_step step, int error)
{
	if (!worker_is_left(worker) && !worker->job.step) {
		worker->job.step = step;
		worker->job.error = error;
	}
}

// Notes that what frames are could not be asked.
static inline void job_kpages(struct worker *worker, const struct kpages *kpageflags)
{
	if (kpageflags->error)
		job_gap(worker, STEP_KPAGEFLAGS, kpageflags->error);
}

// What an errno means for a process that was there when it was listed.
static inline int job_cause(int64_t error)
{
	return error == -ENOENT || error == -ESRCH ? WALK_EXITED : (int)-error;
}

// Open /proc/PID of the job's process and check that it is the one that was listed. Negative: it is not; the gap is noted.
int job_open(struct worker *worker);

// Does the process still run? dir: what job_open() gave.
bool job_still_there(struct worker *worker, int dir);

// After the walk: note a gap if the process has changed its cgroup since it was listed.
void job_check_moved(struct worker *worker, int dir);

// Is this the device of one of the kernel's own hugetlbfs?
static inline bool host_owns_hugetlb(const struct walk_host *host, uint32_t major, uint32_t minor)
{
	for (uint32_t i = 0; i < host->hugetlb_count; i++)
		if (major == host->hugetlb_major[i] && minor == host->hugetlb_minor[i])
			return true;
	return false;
}

// A worker that marks frames for one owner at a time; what a walker of that sort begins with.
struct marking {
	struct worker worker;
	struct marker marker;
};

// Gives what it has marked to the census.
static inline int marking_settle(struct worker *worker)
{
	return marker_deinit(&((struct marking *)worker)->marker);
}
