// Jobs of a walk, shared by the walkers: how threads take them, and how a job is found still to be what was listed.
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>

#include "core.h"

static inline void job_gap(struct walk_job *job, enum walk_step step, int error)
{
	if (!job->step) {
		job->step = step;
		job->error = error;
	}
}

// What an errno means for a process that was there when it was listed.
static inline int job_cause(int64_t error)
{
	return error == -ENOENT || error == -ESRCH ? WALK_EXITED : (int)-error;
}

// Open /proc/PID of the job's process and check that it is the one that was listed. -1: it is not; the gap is noted.
int job_open(struct walk_job *job, const struct walk_settings *settings);

// Does the process still run? dir: what job_open() gave.
bool job_still_there(const struct walk_job *job, int dir);

// After the walk: note a gap if the process has changed its cgroup since it was listed.
void job_check_moved(struct walk_job *job, int dir, const struct walk_settings *settings);
