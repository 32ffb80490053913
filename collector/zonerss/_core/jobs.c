#include "jobs.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "foreign.h"
#include "tasks.h"

#define STAT_BYTES 1024

static int64_t read_stat(struct worker *worker, int dir, const char *path, struct task *task)
{
	char text[STAT_BYTES];
	int fd = foreign_openat(worker, dir, path, O_RDONLY);
	if (fd < 0)
		return -errno;
	ssize_t length = foreign_read(worker, fd, text, sizeof(text));
	int error = length < 0 ? -errno : length ? task_parse_stat(text, length, task) : -ESRCH;
	close(fd);
	return error;
}

int job_open(struct worker *worker)
{
	char path[16];
	struct task task = { 0 };
	job_step(worker, STEP_OPEN);
	snprintf(path, sizeof(path), "%d", worker->job.leader);
	int dir = foreign_openat(worker, worker->request->host->proc_fd, path, O_RDONLY | O_DIRECTORY);
	int64_t error = dir < 0 ? -errno : read_stat(worker, dir, "stat", &task);
	if (!error && task.start_ticks == worker->job.start_ticks)
		return dir;
	job_gap(worker, STEP_OPEN, error ? job_cause(error) : WALK_REUSED);
	if (dir >= 0)
		close(dir);
	return -1;
}

bool job_still_there(struct worker *worker, int dir)
{
	char path[64];
	struct task leader = { 0 }, walked = { 0 };
	// The first thread's stat tells no size once it has ended; only its start tells a reused pid.
	snprintf(path, sizeof(path), "task/%d/stat", worker->job.pid);
	return !read_stat(worker, dir, "stat", &leader) && leader.start_ticks == worker->job.start_ticks &&
	       (leader.vsize_bytes || (!read_stat(worker, dir, path, &walked) && walked.vsize_bytes));
}

void job_check_moved(struct worker *worker, int dir)
{
	char path[64];
	size_t listed_length;
	struct buffer now = { 0 };
	if (worker_is_left(worker) || !worker->request->tasks)
		return; // whoever left it behind may have freed the list
	const char *listed = tasks_cgroup(worker->request->tasks, worker->job.cgroup, &listed_length);
	if (!listed_length)
		return; // cgroups were not asked for: none are mounted
	job_step(worker, STEP_CGROUP);
	snprintf(path, sizeof(path), "task/%d/cgroup", worker->job.pid);
	int64_t length = foreign_read_file(worker, dir, path, &now);
	if (length >= 0 && ((size_t)length != listed_length || memcmp(now.bytes, listed, length)))
		job_gap(worker, STEP_CGROUP, WALK_MOVED);
	free(now.bytes);
}
