// Who is there: the processes of a /proc, with what the census needs to know of each.

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core.h"
#include "files.h"

#define PF_KTHREAD UINT64_C(0x00200000) // include/linux/sched.h

struct text {
	size_t offset, length;
};

struct task_list {
	struct task *tasks;
	size_t count, room;
	struct text *texts; // of /proc/PID/cgroup, each once
	size_t text_count, text_room;
	char *bytes;
	size_t used, bytes_room;
	uint32_t *table; // open addressing over texts, index + 1
	size_t mask;
};

static int grow(void **array, size_t *room, size_t needed, size_t size)
{
	if (needed <= *room)
		return 0;
	size_t more = *room * 2 > needed ? *room * 2 : needed + 64;
	void *grown = realloc(*array, more * size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*room = more;
	return 0;
}

// ---- cgroup texts: many tasks, few texts ----

static size_t text_slot(const struct task_list *list, const char *bytes, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325); // FNV-1a
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)bytes[i]) * UINT64_C(0x100000001b3);
	size_t slot = hash & list->mask;
	for (; list->table[slot]; slot = (slot + 1) & list->mask) {
		const struct text *text = &list->texts[list->table[slot] - 1];
		if (text->length == length && !memcmp(list->bytes + text->offset, bytes, length))
			break;
	}
	return slot;
}

static int texts_rehash(struct task_list *list)
{
	size_t slots = 256;
	while (slots < 4 * (list->text_count + 1))
		slots *= 2;
	uint32_t *table = calloc(slots, sizeof(*table));
	if (!table)
		return -ENOMEM;
	free(list->table);
	list->table = table;
	list->mask = slots - 1;
	for (size_t i = 0; i < list->text_count; i++)
		table[text_slot(list, list->bytes + list->texts[i].offset, list->texts[i].length)] = i + 1;
	return 0;
}

// The index of a text, noted if it is new. Negative errno.
static int64_t text_intern(struct task_list *list, const char *bytes, size_t length)
{
	if (!list->table || list->mask < 2 * (list->text_count + 1)) {
		int error = texts_rehash(list);
		if (error)
			return error;
	}
	size_t slot = text_slot(list, bytes, length);
	if (list->table[slot])
		return list->table[slot] - 1;
	if (grow((void **)&list->texts, &list->text_room, list->text_count + 1, sizeof(*list->texts)) ||
	    grow((void **)&list->bytes, &list->bytes_room, list->used + length, 1))
		return -ENOMEM;
	memcpy(list->bytes + list->used, bytes, length);
	list->texts[list->text_count] = (struct text){ list->used, length };
	list->used += length;
	list->table[slot] = ++list->text_count;
	return list->text_count - 1;
}

// ---- one task ----

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

static int read_users(int dir, struct task *task)
{
	char text[2048];
	int64_t length = file_read_at(dir, "status", text, sizeof(text) - 1);
	if (length < 0)
		return length;
	text[length] = 0;
	const char *line = strstr(text, "\nUid:");
	if (!line || sscanf(line, "\nUid: %u %u", &task->uid, &task->euid) != 2)
		return -EINVAL;
	return 0;
}

// A process whose first thread has ended shows neither maps nor pagemap there, but its other threads live on.
static int32_t living_thread(int dir)
{
	int fd = openat(dir, "task", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *threads = fd < 0 ? NULL : fdopendir(fd);
	if (!threads) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	int32_t found = 0;
	for (struct dirent *entry; !found && (entry = readdir(threads));) {
		char path[sizeof(entry->d_name) + 8], text[1024];
		struct task thread;
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "%s/stat", entry->d_name);
		int64_t length = file_read_at(fd, path, text, sizeof(text));
		if (length > 0 && !task_parse_stat(text, length, &thread) && thread.vsize_bytes)
			found = thread.pid;
	}
	closedir(threads);
	return found;
}

// Of the thread that is walked: version 1 says "/" of a leader that has ended.
static int read_cgroup(struct task_list *list, int dir, bool want_cgroups, struct task *task)
{
	char path[64], text[16384];
	snprintf(path, sizeof(path), "task/%d/cgroup", task->walk_tid);
	int64_t length = want_cgroups ? file_read_at(dir, path, text, sizeof(text)) : 0;
	if (length < 0)
		return length;
	int64_t index = text_intern(list, text, length);
	if (index < 0)
		return index;
	task->cgroup = index;
	return 0;
}

// 1: a process with memory of its own; 0: none, or gone; negative errno: could not be read.
static int read_task(struct task_list *list, int dir, bool want_users, bool want_cgroups, struct task *task)
{
	char text[1024];
	int64_t length = file_read_at(dir, "stat", text, sizeof(text));
	if (length <= 0)
		return length == -ENOENT || length == -ESRCH ? 0 : length;
	int error = task_parse_stat(text, length, task);
	if (error)
		return error;
	if (task->flags & PF_KTHREAD)
		return 0;
	task->walk_tid = task->pid;
	if (!task->vsize_bytes) {
		if (task->threads < 2 || !(task->walk_tid = living_thread(dir)))
			return 0;
	}
	error = read_cgroup(list, dir, want_cgroups, task);
	if (!error && want_users)
		error = read_users(dir, task);
	if (error)
		return error == -ENOENT || error == -ESRCH ? 0 : error;
	return 1;
}

// A process of the directory fd, if it has memory of its own and is still there. 0 or -ENOMEM.
static int list_add(struct task_list *list, int fd, const char *name, int want_users, int want_cgroups)
{
	int error = grow((void **)&list->tasks, &list->room, list->count + 1, sizeof(*list->tasks));
	int dir = error ? -1 : openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error; // it left
	struct task *task = &list->tasks[list->count];
	*task = (struct task){ .uid = UINT32_MAX, .euid = UINT32_MAX };
	int found = read_task(list, dir, want_users, want_cgroups, task);
	close(dir);
	task->pid = atoi(name);
	task->error = found < 0 ? -found : 0;
	list->count += found != 0;
	return found == -ENOMEM ? found : 0;
}

int tasks_read(int proc_fd, int want_users, int want_cgroups, struct task_list **ret)
{
	int fd = openat(proc_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *proc = fd < 0 ? NULL : fdopendir(fd);
	struct task_list *list = proc ? calloc(1, sizeof(*list)) : NULL;
	int error = list ? 0 : errno ? -errno : -ENOMEM;
	for (struct dirent *entry; !error && (entry = readdir(proc));)
		if (isdigit((unsigned char)entry->d_name[0]))
			error = list_add(list, fd, entry->d_name, want_users, want_cgroups);
	if (proc)
		closedir(proc);
	else if (fd >= 0)
		close(fd);
	if (error) {
		tasks_free(list);
		return error;
	}
	*ret = list;
	return 0;
}

int tasks_read_some(int proc_fd, const int32_t *pids, size_t count, int want_users, int want_cgroups,
		    struct task_list **ret)
{
	struct task_list *list = calloc(1, sizeof(*list));
	int error = list ? 0 : -ENOMEM;
	for (size_t i = 0; !error && i < count; i++) {
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
	free(list->table);
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
