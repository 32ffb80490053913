// Clearing accessed bits: see clear.h.

#include "clear.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "clock.h"
#include "foreign.h"
#include "page_bytes.h"
#include "slices.h"

#define WORK_NS UINT64_C(1000000)
#define MOST_PAUSE_NS UINT64_C(999999999)
#define ATTEMPTS 100 // of a call that is interrupted

#ifndef MADV_COLD
#define MADV_COLD 20
#endif

static void note_call(struct cleared *ret, uint64_t ns)
{
	ret->took_ns += ns;
	ret->longest_ns = ns > ret->longest_ns ? ns : ret->longest_ns;
}

// How the calling thread was scheduled before it was made a real-time one.
struct urgency {
	int policy; // with SCHED_RESET_ON_FORK
	struct sched_param param;
	bool raised;
};

// Who holds a lock that others want should not wait for a processor. Of this thread, or of a process of one. true: it does not.
// A thread that is a real-time one already stays as it is.
static bool urgent_begin(struct urgency *ret)
{
	const struct sched_param least = { .sched_priority = 1 };
	*ret = (struct urgency){ .policy = sched_getscheduler(0) };
	if (ret->policy < 0 || sched_getparam(0, &ret->param))
		return false;
	int reset = ret->policy & SCHED_RESET_ON_FORK, policy = ret->policy & ~SCHED_RESET_ON_FORK;
	if (policy == SCHED_FIFO || policy == SCHED_RR || policy == SCHED_DEADLINE)
		return true;
	ret->raised = !sched_setscheduler(0, SCHED_FIFO | reset, &least);
	return ret->raised;
}

static void urgent_end(const struct urgency *before)
{
	if (before->raised)
		sched_setscheduler(0, before->policy, &before->param);
}

// Once much has been done, a sleep of rest times as long.
static void give_way(uint64_t *worked_ns, uint64_t ns, uint32_t rest, uint64_t *since_ns)
{
	*worked_ns += ns;
	if (*worked_ns < WORK_NS)
		return;
	uint64_t sleep_ns = *worked_ns * rest;
	struct timespec pause = { .tv_nsec = sleep_ns < MOST_PAUSE_NS ? sleep_ns : MOST_PAUSE_NS };
	__atomic_store_n(since_ns, 0, __ATOMIC_RELAXED);
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	__atomic_store_n(since_ns, now_ns(), __ATOMIC_RELAXED);
	*worked_ns = 0;
}

// Waits until its mmap lock can be had for reading. 0 or a negative errno.
static int await_lock(int pagemap_fd, const struct slice *slice)
{
	uint64_t word;
	int64_t got = foreign_words(NULL, pagemap_fd, &word, 1, slice->start / page_bytes());
	if (got < 0)
		return -errno;
	return got ? 0 : -ESRCH; // of an address space that has been given up there is nothing to read
}

// 0 or a negative errno.
static int cold_slice(int pidfd, int pagemap_fd, const struct slice *slice, struct cleared *ret)
{
	struct iovec range = { (void *)slice->start, slice->end - slice->start };
	for (int attempts = 0;;) {
		__atomic_store_n(&ret->since_ns, now_ns(), __ATOMIC_RELAXED);
		int gone = await_lock(pagemap_fd, slice);
		if (gone)
			return gone;
		uint64_t began = now_ns();
		long done = syscall(SYS_process_madvise, pidfd, &range, 1UL, MADV_COLD, 0U);
		int error = done < 0 ? errno : 0;
		note_call(ret, now_ns() - began);
		if ((error == EINTR || error == EAGAIN) && attempts++ < ATTEMPTS)
			continue;
		// EINVAL: locked, hugetlb or a device by now. ENOMEM: not mapped any more, or not all of it.
		if (error && error != EINVAL && error != ENOMEM)
			return -error;
		ret->slices += error != EINVAL;
		ret->refused += error == EINVAL;
		return 0;
	}
}

int clear_by_cold(int pidfd, int pagemap_fd, const struct slice *slices, size_t count, uint32_t rest,
		  const int32_t *stop, struct cleared *ret)
{
	uint64_t worked_ns = 0;
	int error = 0;
	*ret = (struct cleared){ .since_ns = ret->since_ns };
	struct urgency before = { 0 };
	if (count)
		urgent_begin(&before);
	for (size_t i = 0; !error && i < count; i++) {
		uint64_t took_ns = ret->took_ns;
		error = __atomic_load_n(stop, __ATOMIC_RELAXED) ? -ECANCELED :
								  cold_slice(pidfd, pagemap_fd, &slices[i], ret);
		give_way(&worked_ns, ret->took_ns - took_ns, rest, &ret->since_ns);
	}
	urgent_end(&before);
	return error;
}

// What the child says, in memory that both see.
struct answer {
	uint64_t began_ns; // 0: not yet
	uint64_t took_ns;
	int32_t error;
	int32_t done;
};

static void child(int clear_refs_fd, struct answer *answer)
{
	struct urgency before;
	if (!urgent_begin(&before))
		setpriority(PRIO_PROCESS, 0, -20);
	uint64_t began = now_ns();
	__atomic_store_n(&answer->began_ns, began, __ATOMIC_RELEASE);
	ssize_t written = write(clear_refs_fd, "1", 1);
	answer->error = written == 1 ? 0 : written < 0 ? errno : EIO;
	answer->took_ns = now_ns() - began;
	__atomic_store_n(&answer->done, 1, __ATOMIC_RELEASE);
	_exit(0);
}

#define START_NS UINT64_C(2000000000) // how long a child may wait for a processor

static bool is_late(const struct answer *answer, uint64_t started, uint64_t patience_ns)
{
	uint64_t began = __atomic_load_n(&answer->began_ns, __ATOMIC_ACQUIRE), now = now_ns();
	return began ? now - began > patience_ns : now - started > START_NS;
}

static bool is_done(const struct answer *answer)
{
	return __atomic_load_n(&answer->done, __ATOMIC_ACQUIRE);
}

// Waits for a millisecond, or until it has ended. Where nobody can tell when that is (there are no descriptors left, or no memory)
// what it says is looked at each millisecond. Has it ended?
static bool child_has_ended(int pidfd)
{
	const struct timespec pause = { .tv_nsec = 1000000 };
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int got = pidfd < 0 ? -1 : poll(&ended, 1, 1);
	if (got < 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	return got > 0;
}

// Wait for a child, and make an end of it where it is late.
static void child_await(pid_t pid, const struct answer *answer, uint64_t patience_ns)
{
	uint64_t started = now_ns();
	int pidfd = syscall(SYS_pidfd_open, pid, 0U);
	while (!child_has_ended(pidfd) && !is_done(answer) && !is_late(answer, started, patience_ns))
		;
	if (!is_done(answer))
		kill(pid, SIGKILL);
	if (pidfd >= 0)
		close(pidfd);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

int clear_by_clear_refs(int clear_refs_fd, uint64_t patience_ns, struct cleared *ret)
{
	*ret = (struct cleared){ 0 };
	struct answer *answer = mmap(NULL, sizeof(*answer), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (answer == MAP_FAILED)
		return -ENOMEM;
	sigset_t all, before;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); // no handler of ours runs in the child
	pid_t pid = fork();
	if (!pid)
		child(clear_refs_fd, answer);
	int error = pid < 0 ? -errno : 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (!error) {
		child_await(pid, answer, patience_ns);
		error = answer->done ? -answer->error : -ETIMEDOUT;
		note_call(ret, answer->done ? answer->took_ns : answer->began_ns ? now_ns() - answer->began_ns : 0);
	}
	ret->slices = !error;
	munmap(answer, sizeof(*answer));
	return error;
}
