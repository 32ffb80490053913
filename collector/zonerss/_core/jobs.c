#include "jobs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "files.h"

int job_open(struct walk_job *job, const struct walk_settings *settings)
{
	char text[1024];
	struct task task = { 0 };
	snprintf(text, sizeof(text), "%d", job->leader);
	int dir = openat(settings->proc_fd, text, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int64_t length = dir < 0 ? -errno : file_read_at(dir, "stat", text, sizeof(text));
	if (length > 0 && !task_parse_stat(text, length, &task) && task.start_ticks == job->start_ticks)
		return dir;
	job_gap(job, STEP_OPEN, length > 0 ? WALK_REUSED : job_cause(length ? length : -ESRCH));
	if (dir >= 0)
		close(dir);
	return -1;
}

bool job_still_there(const struct walk_job *job, int dir)
{
	char text[1024];
	struct task task;
	int64_t length = file_read_at(dir, "stat", text, sizeof(text));
	return length > 0 && !task_parse_stat(text, length, &task) && task.start_ticks == job->start_ticks &&
	       task.vsize_bytes;
}

void job_check_moved(struct walk_job *job, int dir, const struct walk_settings *settings)
{
	char path[64], text[16384];
	size_t listed_length;
	if (!settings->tasks)
		return;
	const char *listed = tasks_cgroup(settings->tasks, job->cgroup, &listed_length);
	snprintf(path, sizeof(path), "task/%d/cgroup", job->pid);
	int64_t length = file_read_at(dir, path, text, sizeof(text));
	if (length >= 0 && ((size_t)length != listed_length || memcmp(text, listed, length)))
		job_gap(job, STEP_CGROUP, WALK_MOVED);
}
