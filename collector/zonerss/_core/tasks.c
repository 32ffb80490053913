// Who is there: the processes of a /proc, with what the census needs to know of each.

#include "tasks.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "array.h"
#include "cursor.h"
#include "foreign.h"
#include "table.h"

#define PF_KTHREAD UINT64_C(0x00200000) // include/linux/sched.h

struct text {
	size_t offset, length;
};

struct task_list {
	struct task *tasks;
	size_t count, room;
	// Texts of /proc/PID/cgroup: many tasks, few texts, each kept once.
	struct text *texts;
	size_t text_count, text_room;
	char *bytes;
	size_t used, bytes_room;
	struct table table;   // texts by content
	struct buffer buffer; // what is being read
};

// ---- cgroup texts ----

static uint64_t text_hash(const void *owner, uint32_t index)
{
	const struct task_list *list = owner;
	return hash_bytes(0, list->bytes + list->texts[index].offset, list->texts[index].length);
}

struct text_key {
	const char *bytes;
	size_t length;
};

static bool text_same(const void *owner, uint32_t index, const void *key)
{
	const struct task_list *list = owner;
	const struct text_key *wanted = key;
	const struct text *text = &list->texts[index];
	return text->length == wanted->length && !memcmp(list->bytes + text->offset, wanted->bytes, text->length);
}

// The index of a text, noted if it is new. Negative errno.
static int64_t text_intern(struct task_list *list, const char *bytes, size_t length)
{
	struct text_key key = { bytes, length };
	uint64_t hash = hash_bytes(0, bytes, length);
	uint32_t found = table_find(&list->table, hash, text_same, list, &key);
	if (found != TABLE_NONE)
		return found;
	if (ARRAY_RESERVE(list->texts, list->text_room, list->text_count + 1) ||
	    ARRAY_RESERVE(list->bytes, list->bytes_room, list->used + length + 1))
		return -ENOMEM;
	if (length)
		memcpy(list->bytes + list->used, bytes, length);
	list->texts[list->text_count] = (struct text){ list->used, length };
	if (table_add(&list->table, hash, list->text_count, text_hash, list))
		return -ENOMEM;
	list->used += length;
	return list->text_count++;
}

// ---- one task ----

// Only these mean that a process has left.
static bool has_left(int64_t error)
{
	return error == -ENOENT || error == -ESRCH;
}

// What we lack ourselves, whichever process is asked about: then no further one could be read.
static bool is_exhausted(int error)
{
	return error == -ENOMEM || error == -EMFILE || error == -ENFILE;
}

// The next entry; NULL at the end, and where reading fails: then errno is set.
static struct dirent *next_entry(DIR *directory)
{
	errno = 0;
	return readdir(directory);
}

// The comm stands in parentheses and may hold any byte, parentheses included: the last one closes it.
int task_parse_stat(const char *text, size_t length, struct task *ret)
{
	const char *open = memchr(text, '(', length);
	const char *close = memrchr(text, ')', length);
	if (!open || !close || close < open || text + length - close < 4)
		return -EINVAL;
	char *end;
	ret->pid = strtol(text, &end, 10);
	if (end == text || ret->pid <= 0)
		return -EINVAL;
	size_t name = close - open - 1;
	if (name >= sizeof(ret->command))
		name = sizeof(ret->command) - 1;
	memcpy(ret->command, open + 1, name);
	ret->command[name] = 0;
	ret->state = close[2];

	// Fields from the 4th on (man 5 proc): numbers, one space between.
	uint64_t field[29] = { 0 };
	const char *at = close + 3, *stop = text + length;
	for (int i = 4; i <= 28; i++) {
		if (at >= stop || *at != ' ')
			return -EINVAL;
		bool minus = ++at < stop && *at == '-';
		at += minus;
		if (at >= stop || !isdigit((unsigned char)*at))
			return -EINVAL;
		for (; at < stop && isdigit((unsigned char)*at); at++)
			field[i] = field[i] * 10 + (*at - '0');
		if (minus)
			field[i] = -field[i];
	}
	ret->flags = field[9];
	ret->threads = field[20];
	ret->start_ticks = field[22];
	ret->vsize_bytes = field[23];
	ret->rss_pages = field[24];
	ret->startstack = field[28];
	return 0;
}

// The first line is the comm's, in which a newline is written as \n; so no name can look like another line.
int task_parse_users(const char *text, size_t length, struct task *ret)
{
	static const char word[] = "\nUid:\t";
	const char *line = memmem(text, length, word, strlen(word));
	if (!line)
		return -EINVAL;
	struct cursor c = { line + strlen(word), text + length, false };
	uint64_t uid = take_number(&c, 10);
	take_char(&c, '\t');
	uint64_t euid = take_number(&c, 10);
	if (c.bad || uid > UINT32_MAX || euid > UINT32_MAX)
		return -EINVAL;
	ret->uid = uid;
	ret->euid = euid;
	return 0;
}

static int read_users(struct task_list *list, int dir, struct task *task)
{
	int64_t length = foreign_read_file(NULL, dir, "status", &list->buffer);
	if (length < 0)
		return length;
	return task_parse_users(list->buffer.bytes, length, task);
}

// A process whose first thread has ended shows neither maps nor pagemap there, but its other threads live on. What the
// first one's stat no longer tells of the memory is taken from the first of them in the kernel's order, which is the one
// that the kernel charges for it (mm_update_next_owner(), kernel/exit.c).
// 1: found; 0: there is none; negative errno.
static int use_living_thread(struct task_list *list, int dir, struct task *task)
{
	int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *threads = fd < 0 ? NULL : fdopendir(fd);
	if (!threads) {
		int error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	int found = 0;
	struct dirent *entry = NULL;
	while (!found && (entry = next_entry(threads))) {
		char path[sizeof(entry->d_name) + 8];
		struct task thread;
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/stat", entry->d_name);
		int64_t length = foreign_read_file(NULL, fd, path, &list->buffer);
		if (length < 0 && !has_left(length))
			found = length;
		if (length <= 0 || task_parse_stat(list->buffer.bytes, length, &thread) || !thread.vsize_bytes)
			continue;
		task->walk_tid = thread.pid;
		task->vsize_bytes = thread.vsize_bytes;
		task->rss_pages = thread.rss_pages;
		task->startstack = thread.startstack;
		found = 1;
	}
	if (!entry)
		found = -errno;
	closedir(threads);
	return found;
}

// Of the thread that is walked: version 1 says "/" of a leader that has ended.
static int read_cgroup(struct task_list *list, int dir, bool want_cgroups, struct task *task)
{
	char path[64];
	snprintf(path, sizeof(path), "task/%d/cgroup", task->walk_tid);
	int64_t length = want_cgroups ? foreign_read_file(NULL, dir, path, &list->buffer) : 0;
	if (length < 0)
		return length;
	int64_t index = text_intern(list, list->buffer.bytes, length);
	if (index < 0)
		return index;
	task->cgroup = index;
	return 0;
}

// 1: a process with memory of its own; 0: none, or gone; negative errno: could not be read.
static int read_task(struct task_list *list, int dir, bool want_users, bool want_cgroups, struct task *task)
{
	int64_t length = foreign_read_file(NULL, dir, "stat", &list->buffer);
	if (length <= 0)
		return has_left(length) ? 0 : length;
	int error = task_parse_stat(list->buffer.bytes, length, task);
	if (error)
		return error;
	if (task->flags & PF_KTHREAD)
		return 0;
	task->walk_tid = task->pid;
	int lives = task->vsize_bytes ? 1 : task->threads > 1 ? use_living_thread(list, dir, task) : 0;
	if (lives <= 0)
		return has_left(lives) ? 0 : lives;
	error = read_cgroup(list, dir, want_cgroups, task);
	if (!error && want_users)
		error = read_users(list, dir, task);
	if (error)
		return has_left(error) ? 0 : error;
	return 1;
}

// A process of the directory fd, if it has memory of its own and is still there. 0, or what is_exhausted().
static int list_add(struct task_list *list, int fd, const char *name, int want_users, int want_cgroups)
{
	if (ARRAY_RESERVE(list->tasks, list->room, list->count + 1))
		return -ENOMEM;
	struct task *task = &list->tasks[list->count];
	*task = (struct task){ .uid = UINT32_MAX, .euid = UINT32_MAX };
	int dir = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int found = dir >= 0 ? read_task(list, dir, want_users, want_cgroups, task) : has_left(-errno) ? 0 : -errno;
	if (dir >= 0)
		close(dir);
	task->pid = atoi(name);
	task->error = found < 0 ? -found : 0;
	list->count += found != 0;
	return is_exhausted(found) ? found : 0;
}

static int list_all(struct task_list *list, int proc_fd, int want_users, int want_cgroups)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC), error = 0;
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);
	if (!proc) {
		error = -errno;
		if (fd >= 0)
			close(fd);
		return error;
	}
	struct dirent *entry = NULL;
	while (!error && (entry = next_entry(proc)))
		if (isdigit((unsigned char)entry->d_name[0]))
			error = list_add(list, fd, entry->d_name, want_users, want_cgroups);
	if (!error && !entry)
		error = -errno;
	closedir(proc);
	return error;
}

int tasks_read(int proc_fd, const int32_t *pids, size_t count, int want_users, int want_cgroups, struct task_list **ret)
{
	struct task_list *list = calloc(1, sizeof(*list));
	int error = !list ? -ENOMEM : pids ? 0 : list_all(list, proc_fd, want_users, want_cgroups);
	for (size_t i = 0; pids && !error && i < count; i++) {
		char name[16];
		snprintf(name, sizeof(name), "%d", pids[i]);
		error = list_add(list, proc_fd, name, want_users, want_cgroups);
	}
	if (error) {
		tasks_free(list);
		return error;
	}
	*ret = list;
	return 0;
}

void tasks_free(struct task_list *list)
{
	if (!list)
		return;
	free(list->tasks);
	free(list->texts);
	free(list->bytes);
	free(list->buffer.bytes);
	table_free(&list->table);
	free(list);
}

size_t tasks_count(const struct task_list *list)
{
	return list->count;
}

const struct task *tasks_all(const struct task_list *list)
{
	return list->tasks;
}

size_t tasks_cgroups(const struct task_list *list)
{
	return list->text_count;
}

const char *tasks_cgroup(const struct task_list *list, size_t index, size_t *length)
{
	*length = list->texts[index].length;
	return list->bytes + list->texts[index].offset;
}

int tasks_compare_mm(int32_t a, int32_t b)
{
	long order = syscall(SYS_kcmp, a, b, KCMP_VM, 0, 0);
	return order < 0 ? -errno : order;
}
