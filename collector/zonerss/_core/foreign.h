// System calls on what belongs to other processes. Any of them may wait for as long as a stranger likes. Not to be made on a file
// that FUSE serves: once its server has read a request, nobody can give it up.
//
// worker: who calls; NULL: whoever can wait. Where the worker has been left behind (pool.h), and only there, they fail with
// ECANCELED, and nothing of the walk may be touched any more.
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pool.h"

// Before the call. false: the worker has been left behind.
static inline bool foreign_begin(struct worker *worker)
{
	int works = WORKER_WORKS;
	if (!worker)
		return true;
	atomic_fetch_add_explicit(&worker->calls, 1, memory_order_relaxed);
	if (atomic_compare_exchange_strong(&worker->state, &works, WORKER_IN_KERNEL))
		return true;
	errno = ECANCELED;
	return false;
}

// After the call, whose errno is kept, but for ECANCELED: a file system in user space may answer with that. false: the worker
// has been left behind.
static inline bool foreign_end(struct worker *worker)
{
	int in_kernel = WORKER_IN_KERNEL;
	bool works = !worker || atomic_compare_exchange_strong(&worker->state, &in_kernel, WORKER_WORKS);
	if (!works)
		errno = ECANCELED;
	else if (errno == ECANCELED)
		errno = EIO;
	return works;
}

#define FOREIGN(worker, call)                                         \
	({                                                            \
		__typeof__(call) result_ = -1;                        \
		if (foreign_begin(worker)) {                          \
			result_ = (call);                             \
			result_ = foreign_end(worker) ? result_ : -1; \
		}                                                     \
		result_;                                              \
	})

static inline int foreign_openat(struct worker *worker, int dir, const char *path, int flags)
{
	if (!foreign_begin(worker))
		return -1;
	int fd = openat(dir, path, flags | O_CLOEXEC);
	if (foreign_end(worker))
		return fd;
	if (fd >= 0)
		close(fd);
	errno = ECANCELED;
	return -1;
}

static inline ssize_t foreign_pread(struct worker *worker, int fd, void *to, size_t bytes, off_t at)
{
	ssize_t got;
	do
		got = FOREIGN(worker, pread(fd, to, bytes, at));
	while (got < 0 && errno == EINTR);
	return got;
}

static inline ssize_t foreign_read(struct worker *worker, int fd, void *to, size_t bytes)
{
	ssize_t got;
	do
		got = FOREIGN(worker, read(fd, to, bytes));
	while (got < 0 && errno == EINTR);
	return got;
}

// Words of a process's pagemap, from the at-th on. How many there are, at most count; fewer: its address space has been given up
// meanwhile, or ends there. A read that was cut short is continued. Or -1 and errno; EIO, too, where one ends within a word.
static inline int64_t foreign_words(struct worker *worker, int fd, uint64_t *words, uint64_t count, uint64_t at)
{
	uint64_t done = 0;
	while (done < count) {
		ssize_t got = foreign_pread(worker, fd, words + done, (count - done) * sizeof(*words),
					    (at + done) * sizeof(*words));
		if (got < 0)
			return -1;
		if (got % sizeof(*words)) {
			errno = EIO;
			return -1;
		}
		if (!got)
			break;
		done += got / sizeof(*words);
	}
	return done;
}

// What is known of a file without asking whoever serves its file system. path: "" for the open file dir itself.
static inline int foreign_look(struct worker *worker, int dir, const char *path, struct statx *found)
{
	int flags = AT_STATX_DONT_SYNC | (*path ? 0 : AT_EMPTY_PATH);
	return FOREIGN(worker, statx(dir, path, flags, STATX_BASIC_STATS | STATX_MNT_ID, found));
}

static inline int foreign_stat(struct worker *worker, int dir, const char *path, struct stat *found)
{
	return FOREIGN(worker, fstatat(dir, path, found, 0));
}

// A buffer that grows as what is read needs it.
struct buffer {
	char *bytes;
	size_t room;
};

// Reads a file of /proc whole. Returns its length, or a negative errno.
int64_t foreign_read_file(struct worker *worker, int dir, const char *path, struct buffer *buffer);
