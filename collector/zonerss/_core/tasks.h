// The processes of a /proc.
#pragma once

#include <stddef.h>
#include <stdint.h>

// One process, read from /proc/PID. cgroup: index of its /proc/PID/cgroup text, see tasks_cgroup(). What it tells of memory
// (vsize_bytes, rss_pages, startstack) and the cgroup are those of walk_tid.
struct task {
	int32_t pid;
	int32_t error;	      // 0, or the errno that reading it ended with
	uint64_t start_ticks; // since boot; tells a reused pid
	uint64_t flags;	      // PF_* of the task
	uint64_t vsize_bytes;
	uint64_t rss_pages; // the kernel's own, batched counter
	uint64_t startstack;
	int64_t threads;
	uint32_t uid; // real; UINT32_MAX where not asked for
	uint32_t euid;
	uint32_t cgroup;
	int32_t walk_tid; // the thread to read memory through: the pid, or a living thread of a dead leader
	char state;
	char command[64]; // comm, NUL-terminated, raw bytes
};

struct task_list;

// List the processes below an open /proc (a directory). pids: only these, without looking who else is there; NULL: all.
// want_users: read real and effective uid, too. want_cgroups: read cgroup texts; 0 where the kernel has none: all texts are then
// empty. 0 or a negative errno.
int tasks_read(int proc_fd, const int32_t *pids, size_t count, int want_users, int want_cgroups,
	       struct task_list **ret);
void tasks_free(struct task_list *list);
size_t tasks_count(const struct task_list *list);
const struct task *tasks_all(const struct task_list *list);
size_t tasks_cgroups(const struct task_list *list);
// The text of /proc/PID/cgroup that tasks share, raw bytes.
const char *tasks_cgroup(const struct task_list *list, size_t index, size_t *length);
// Parse the text of one /proc/PID/stat. -EINVAL: not understood.
int task_parse_stat(const char *text, size_t length, struct task *ret);
// The real and the effective user, from the text of /proc/PID/status. -EINVAL: not understood.
int task_parse_users(const char *text, size_t length, struct task *ret);
// 0: the two threads share one address space, or both have none any more; 1, 2, 3: not (kcmp's order); negative errno.
int tasks_compare_mm(int32_t a, int32_t b);
