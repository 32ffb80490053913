// A library for LD_PRELOAD that lets one call fail: the n-th of a function, of those that the code between two addresses makes.
// Everybody else's calls go through (Python's own, the test's).

#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/wait.h>
#include <unistd.h>

#define FUNCTIONS(each)                                                                                                \
	each(open) each(openat) each(read) each(pread) each(ioctl) each(mmap) each(malloc) each(calloc) each(realloc)  \
		each(aligned_alloc) each(statx) each(fstatat) each(fstatfs) each(pthread_create) each(eventfd)         \
			each(poll) each(syscall) each(fcntl) each(fdopendir) each(readdir) each(mincore) each(madvise) \
				each(getrandom) each(write) each(fork) each(waitpid)

#define NUMBER(name) FAULT_##name,
#define NAME(name) #name,
enum function { FUNCTIONS(NUMBER) FAULTS };
static const char *const names[] = { FUNCTIONS(NAME) NULL };

#define ODD (-1) // an error: it does a part, which ends within a word

// What is to fail. Children of ours have it, too.
struct state {
	_Atomic int armed, error, all; // which function, what it fails with (0: it does half), the later calls, too
	_Atomic long wanted, calls, failed;
};

static uintptr_t from, to;  // the code in question
static struct state *state; // NULL: none is known yet

// ---- for the test ----

const char *fault_name(int function)
{
	return names[function];
}

// 0, or an errno.
int fault_code(uintptr_t begin, uintptr_t end)
{
	void *shared = mmap(NULL, sizeof(*state), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return errno;
	from = begin;
	to = end;
	((struct state *)shared)->armed = -1;
	state = shared;
	return 0;
}

// number: from 0 on; -1: none, but they are counted. later: all later ones, too.
void fault_arm(int function, long number, int with, int later)
{
	state->armed = -1;
	state->wanted = number;
	state->error = with;
	state->all = later;
	state->calls = state->failed = 0;
	state->armed = function;
}

// Stop. How many calls have failed.
long fault_disarm(void)
{
	state->armed = -1;
	return state->failed;
}

long fault_calls(void)
{
	return state->calls;
}

// ---- the calls ----

static int fails(enum function function, void *caller)
{
	if (!state || state->armed != (int)function || (uintptr_t)caller < from || (uintptr_t)caller >= to)
		return 0;
	long number = atomic_fetch_add(&state->calls, 1);
	if (state->wanted < 0 || number < state->wanted || (number > state->wanted && !state->all))
		return 0;
	atomic_fetch_add(&state->failed, 1);
	errno = state->error;
	return 1;
}

#define FAILS(name) fails(FAULT_##name, __builtin_return_address(0))
#define REAL(name) ((__typeof__(&name))real(#name))

static void *real(const char *name)
{
	return dlsym(RTLD_NEXT, name);
}

void *__libc_malloc(size_t bytes);
void *__libc_calloc(size_t count, size_t bytes);
void *__libc_realloc(void *old, size_t bytes);
void *__libc_memalign(size_t alignment, size_t bytes);

void *malloc(size_t bytes)
{
	return FAILS(malloc) ? NULL : __libc_malloc(bytes);
}

void *calloc(size_t count, size_t bytes)
{
	return FAILS(calloc) ? NULL : __libc_calloc(count, bytes);
}

void *realloc(void *old, size_t bytes)
{
	return FAILS(realloc) ? NULL : __libc_realloc(old, bytes);
}

void *aligned_alloc(size_t alignment, size_t bytes)
{
	return FAILS(aligned_alloc) ? NULL : __libc_memalign(alignment, bytes);
}

#define TAKE_MODE                        \
	va_list list;                    \
	va_start(list, flags);           \
	mode_t mode = va_arg(list, int); \
	va_end(list)

int open(const char *path, int flags, ...)
{
	TAKE_MODE;
	return FAILS(open) ? -1 : REAL(open)(path, flags, mode);
}

int openat(int dir, const char *path, int flags, ...)
{
	TAKE_MODE;
	return FAILS(openat) ? -1 : REAL(openat)(dir, path, flags, mode);
}

ssize_t read(int fd, void *buffer, size_t bytes)
{
	if (FAILS(read)) {
		if (state->error)
			return -1;
		bytes = (bytes + 1) / 2;
	}
	return REAL(read)(fd, buffer, bytes);
}

ssize_t pread(int fd, void *buffer, size_t bytes, off_t at)
{
	if (!FAILS(pread))
		return REAL(pread)(fd, buffer, bytes, at);
	if (state->error > 0)
		return -1;
	if (state->error != ODD)
		return REAL(pread)(fd, buffer, (bytes + 15) / 16 * 8, at); // whole words
	ssize_t got = REAL(pread)(fd, buffer, bytes, at), part = got > 0 ? got / 2 | 1 : got;
	for (ssize_t i = part; i < got; i++)
		((unsigned char *)buffer)[i] = 0xa5; // it has not been read
	return part;
}

ssize_t write(int fd, const void *buffer, size_t bytes)
{
	return FAILS(write) ? -1 : REAL(write)(fd, buffer, bytes);
}

int ioctl(int fd, unsigned long request, ...)
{
	va_list list;
	va_start(list, request);
	void *argument = va_arg(list, void *);
	va_end(list);
	return FAILS(ioctl) ? -1 : REAL(ioctl)(fd, request, argument);
}

int fcntl(int fd, int command, ...)
{
	va_list list;
	va_start(list, command);
	void *argument = va_arg(list, void *);
	va_end(list);
	return FAILS(fcntl) ? -1 : REAL(fcntl)(fd, command, argument);
}

long syscall(long number, ...)
{
	long arguments[6];
	va_list list;
	va_start(list, number);
	for (int i = 0; i < 6; i++)
		arguments[i] = va_arg(list, long);
	va_end(list);
	return FAILS(syscall) ? -1 :
				REAL(syscall)(number, arguments[0], arguments[1], arguments[2], arguments[3],
					      arguments[4], arguments[5]);
}

void *mmap(void *where, size_t bytes, int protection, int flags, int fd, off_t at)
{
	return FAILS(mmap) ? MAP_FAILED : REAL(mmap)(where, bytes, protection, flags, fd, at);
}

int mincore(void *where, size_t bytes, unsigned char *in_core)
{
	return FAILS(mincore) ? -1 : REAL(mincore)(where, bytes, in_core);
}

int madvise(void *where, size_t bytes, int advice)
{
	return FAILS(madvise) ? -1 : REAL(madvise)(where, bytes, advice);
}

int statx(int dir, const char *path, int flags, unsigned mask, struct statx *found)
{
	return FAILS(statx) ? -1 : REAL(statx)(dir, path, flags, mask, found);
}

int fstatat(int dir, const char *path, struct stat *found, int flags)
{
	return FAILS(fstatat) ? -1 : REAL(fstatat)(dir, path, found, flags);
}

int fstatfs(int fd, struct statfs *found)
{
	return FAILS(fstatfs) ? -1 : REAL(fstatfs)(fd, found);
}

int pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	return FAILS(pthread_create) ? state->error : REAL(pthread_create)(id, attributes, run, argument);
}

int eventfd(unsigned initial, int flags)
{
	return FAILS(eventfd) ? -1 : REAL(eventfd)(initial, flags);
}

int poll(struct pollfd *fds, nfds_t count, int timeout)
{
	return FAILS(poll) ? -1 : REAL(poll)(fds, count, timeout);
}

DIR *fdopendir(int fd)
{
	return FAILS(fdopendir) ? NULL : REAL(fdopendir)(fd);
}

struct dirent *readdir(DIR *directory)
{
	return FAILS(readdir) ? NULL : REAL(readdir)(directory);
}

ssize_t getrandom(void *buffer, size_t bytes, unsigned flags)
{
	return FAILS(getrandom) ? -1 : REAL(getrandom)(buffer, bytes, flags);
}

pid_t fork(void)
{
	return FAILS(fork) ? -1 : REAL(fork)();
}

pid_t waitpid(pid_t pid, int *status, int options)
{
	return FAILS(waitpid) ? -1 : REAL(waitpid)(pid, status, options);
}
