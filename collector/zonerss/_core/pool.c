// The threads of a walk: see pool.h.

#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "array.h"
#include "clock.h"
#include "foreign.h"
#include "queue.h"

struct walk {
	const struct walk_methods *methods;
	void *source;
	struct walk_request request;
	struct walk_host host;
	struct walk_job *jobs;
	int done_fd;		// eventfd: something has changed that whoever waits wants to know
	_Atomic int references; // one for each thread, one for whoever has begun the walk

	pthread_mutex_t lock; // for all below
	struct queue queue;
	struct worker **workers; // those that work
	size_t worker_count, worker_room;
	int error;
	bool stops; // no further job is handed out
};

static void walk_release(struct walk *walk)
{
	if (atomic_fetch_sub(&walk->references, 1) > 1)
		return;
	if (walk->methods->release)
		walk->methods->release(walk->source);
	if (walk->done_fd >= 0)
		close(walk->done_fd);
	if (walk->host.proc_fd >= 0)
		close(walk->host.proc_fd);
	pthread_mutex_destroy(&walk->lock);
	queue_deinit(&walk->queue);
	free(walk->workers);
	free(walk->jobs);
	free(walk);
}

static void tell(const struct walk *walk)
{
	uint64_t one = 1;
	ssize_t written = write(walk->done_fd, &one, sizeof(one));
	(void)written; // it can only fail where it has been told already
}

bool worker_has_siblings(const struct worker *worker)
{
	return queue_has_siblings(&worker->walk->queue, &worker->job);
}

uint32_t worker_count(const struct worker *worker)
{
	return worker->request->threads;
}

// ---- who is waited for, by all walks ----

static pthread_mutex_t waited_lock = PTHREAD_MUTEX_INITIALIZER;
static struct worker *waited_for; // a list: to be on it takes no memory

// The worker is left behind, if it waits in the kernel now. false: it does not.
static bool waited_add(struct worker *worker, int32_t pid)
{
	int in_kernel = WORKER_IN_KERNEL;
	pthread_mutex_lock(&waited_lock);
	bool left = atomic_compare_exchange_strong(&worker->state, &in_kernel, WORKER_LEFT);
	if (left) {
		worker->waited_pid = pid;
		worker->next_waited = waited_for;
		waited_for = worker;
	}
	pthread_mutex_unlock(&waited_lock);
	return left;
}

static void waited_remove(const struct worker *worker)
{
	pthread_mutex_lock(&waited_lock);
	for (struct worker **at = &waited_for; *at; at = &(*at)->next_waited)
		if (*at == worker) {
			*at = worker->next_waited;
			break;
		}
	pthread_mutex_unlock(&waited_lock);
}

size_t walk_waited_for(int32_t *pids, size_t room)
{
	size_t count = 0;
	pthread_mutex_lock(&waited_lock);
	for (const struct worker *worker = waited_for; worker; worker = worker->next_waited, count++)
		if (count < room)
			pids[count] = worker->waited_pid;
	pthread_mutex_unlock(&waited_lock);
	return count;
}

// ---- the threads ----

// With the lock held.
static void forget_worker(struct walk *walk, const struct worker *worker)
{
	for (size_t i = 0; i < walk->worker_count; i++)
		if (walk->workers[i] == worker)
			walk->workers[i] = walk->workers[--walk->worker_count];
}

// false: there is none left, or the walk ends.
static bool next_job(struct worker *worker)
{
	struct walk *walk = worker->walk;
	pthread_mutex_lock(&walk->lock);
	bool found = !walk->stops && !walk->error && queue_take(&walk->queue, &worker->number, &worker->opens);
	worker->began_ns = now_ns();
	pthread_mutex_unlock(&walk->lock);
	if (found)
		worker->job = walk->jobs[worker->number];
	return found;
}

// With the lock held: the job is done, or as far as it will ever be.
static void put_job_back(struct walk *walk, struct worker *worker, int error)
{
	walk->jobs[worker->number] = worker->job;
	if (worker->opens)
		queue_opened(&walk->queue, worker->job.owner);
	walk->error = walk->error ? walk->error : error;
}

static void work(struct worker *worker)
{
	struct walk *walk = worker->walk;
	while (next_job(worker)) {
		int error = walk->methods->walk(worker);
		// Whoever has left the worker behind is at it for as long as he holds the lock.
		pthread_mutex_lock(&walk->lock);
		bool left = worker_is_left(worker);
		if (!left)
			put_job_back(walk, worker, error);
		pthread_mutex_unlock(&walk->lock);
		if (left)
			return;
	}
	int error = walk->methods->settle(worker);
	pthread_mutex_lock(&walk->lock);
	walk->error = walk->error ? walk->error : error;
	forget_worker(walk, worker);
	pthread_mutex_unlock(&walk->lock);
	tell(walk);
}

static void worker_free(struct worker *worker)
{
	struct walk *walk = worker->walk;
	if (worker->ready)
		walk->methods->dispose(worker);
	if (worker_is_left(worker))
		waited_remove(worker);
	free(worker);
	walk_release(walk);
}

static void *run(void *argument)
{
	struct worker *worker = argument;
	worker->tid = gettid();
	work(worker);
	worker_free(worker);
	return NULL;
}

static struct worker *worker_create(struct walk *walk)
{
	size_t bytes = (walk->methods->walker_bytes + 127) / 128 * 128; // no two in one cache line, nor in neighbours
	struct worker *worker = aligned_alloc(128, bytes);
	if (!worker)
		return NULL;
	memset(worker, 0, bytes);
	worker->walk = walk;
	worker->request = &walk->request;
	worker->source = walk->source;
	atomic_fetch_add(&walk->references, 1);
	return worker;
}

int thread_start(void *(*run)(void *), void *argument)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&id, &attributes, run, argument);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attributes);
	return -error;
}

// One thread more. With the lock held, which a new thread waits for.
static int add_worker(struct walk *walk)
{
	if (ARRAY_RESERVE(walk->workers, walk->worker_room, walk->worker_count + 1))
		return -ENOMEM;
	struct worker *worker = worker_create(walk);
	if (!worker)
		return -ENOMEM;
	int error = walk->methods->init(worker);
	worker->ready = !error;
	walk->workers[walk->worker_count++] = worker;
	if (!error)
		error = thread_start(run, worker);
	if (!error)
		return 0;
	walk->worker_count--;
	if (worker->ready)
		walk->methods->settle(worker);
	worker_free(worker);
	return error;
}

// ---- whoever waits ----

// What a walk works with, copied. 0 or a negative errno.
static int walk_init(struct walk *walk, const struct walk_request *request)
{
	walk->done_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (walk->done_fd < 0)
		return -errno;
	// Ours: a worker that was left behind on the way into a system call makes it all the same, whenever that is.
	walk->host.proc_fd = fcntl(request->host->proc_fd, F_DUPFD_CLOEXEC, 0);
	if (walk->host.proc_fd < 0)
		return -errno;
	walk->jobs = calloc(request->count + 1, sizeof(*walk->jobs));
	if (!walk->jobs)
		return -ENOMEM;
	memcpy(walk->jobs, request->jobs, request->count * sizeof(*walk->jobs));
	return queue_init(&walk->queue, walk->jobs, request->count);
}

// Where no further thread can be had, the others do its work. 0 or a negative errno: there is none.
static int add_workers(struct walk *walk)
{
	struct walk_request *request = &walk->request;
	int error = 0;
	request->threads = request->threads < 1 ? 1 : request->threads;
	request->threads = request->threads < request->count ? request->threads : request->count;
	pthread_mutex_lock(&walk->lock);
	for (size_t i = 0; !error && i < request->threads; i++)
		error = add_worker(walk);
	error = walk->worker_count ? 0 : error;
	pthread_mutex_unlock(&walk->lock);
	return error;
}

int walk_begin(const struct walk_request *request, const struct walk_methods *methods, void *source, struct walk **ret)
{
	struct walk *walk = calloc(1, sizeof(*walk));
	if (!walk) {
		if (methods->release)
			methods->release(source);
		return -ENOMEM;
	}
	*walk = (struct walk){
		.methods = methods,
		.source = source,
		.request = *request,
		.host = *request->host,
		.references = 1,
		.done_fd = -1,
	};
	pthread_mutex_init(&walk->lock, NULL);
	walk->request.host = &walk->host;
	walk->host.proc_fd = -1;
	int error = walk_init(walk, request);
	walk->request.jobs = walk->jobs;
	if (!error)
		error = add_workers(walk);
	if (error)
		walk_end(walk);
	else
		*ret = walk;
	return error;
}

// Wait until a worker has ended since the last time, the time is over, or a signal came. 0 or a negative errno.
static int await(const struct walk *walk, int timeout_ms)
{
	struct pollfd changed = { .fd = walk->done_fd, .events = POLLIN };
	uint64_t told;
	if (poll(&changed, 1, timeout_ms) < 0)
		return errno == EINTR ? 0 : -errno;
	if (read(walk->done_fd, &told, sizeof(told)) < 0 && errno != EAGAIN && errno != EINTR)
		return -errno;
	return 0;
}

int walk_wait(struct walk *walk, int timeout_ms)
{
	pthread_mutex_lock(&walk->lock);
	bool done = !walk->worker_count;
	pthread_mutex_unlock(&walk->lock);
	int error = done ? 0 : await(walk, timeout_ms);
	if (error)
		return error;
	pthread_mutex_lock(&walk->lock);
	int result = walk->worker_count ? 0 : walk->error ? walk->error : 1;
	pthread_mutex_unlock(&walk->lock);
	return result;
}

// With the lock held. false: it does not wait in the kernel now.
static bool leave_behind(struct walk *walk, struct worker *worker)
{
	if (!waited_add(worker, walk->jobs[worker->number].leader))
		return false;
	// From here on the worker looks at nothing but its state until it has ended.
	forget_worker(walk, worker);
	if (!worker->job.step) {
		worker->job.step = worker->step;
		worker->job.error = WALK_LEFT;
	}
	put_job_back(walk, worker, walk->methods->settle(worker));
	return true;
}

// With the lock held: another thread does what a worker that was left behind would have done.
static void replace_worker(struct walk *walk)
{
	if (walk->error || !queue_waits(&walk->queue))
		return;
	int error = add_worker(walk);
	if (error && !walk->worker_count)
		walk->error = error;
}

int walk_abandon(struct walk *walk, size_t job)
{
	bool left = false;
	pthread_mutex_lock(&walk->lock);
	for (size_t i = 0; !left && i < walk->worker_count; i++)
		left = walk->workers[i]->number == job && leave_behind(walk, walk->workers[i]);
	if (left)
		replace_worker(walk);
	pthread_mutex_unlock(&walk->lock);
	return left;
}

// Does a thread of ours sleep? One that only waits for a processor does not. true where it cannot be told.
static bool sleeps(pid_t tid)
{
	char path[64], text[512];
	snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t length = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);
	if (fd >= 0)
		close(fd);
	if (length <= 0)
		return true;
	text[length] = 0;
	const char *name_end = strrchr(text, ')');
	return !name_end || name_end[1] != ' ' || name_end[2] != 'R';
}

#define NS_OF_A_PAGE 2000	     // more than any way of reading takes for one, on any machine
#define STILL_NS UINT64_C(100000000) // how long a call has been met, before it is believed to wait

// With the lock held.
static bool is_overdue(struct worker *worker, uint64_t now, uint64_t patience_ns)
{
	uint32_t call = atomic_load_explicit(&worker->calls, memory_order_relaxed);
	if (atomic_load(&worker->state) != WORKER_IN_KERNEL)
		return false;
	if (call != worker->met_call || !worker->met_ns) {
		worker->met_call = call;
		worker->met_ns = now;
		return false;
	}
	uint64_t allowed_ns = patience_ns + worker->walk->jobs[worker->number].expected_pages * NS_OF_A_PAGE;
	return now - worker->began_ns > allowed_ns && now - worker->met_ns >= STILL_NS && sleeps(worker->tid);
}

size_t walk_leave_overdue(struct walk *walk, uint64_t patience_ns)
{
	size_t left = 0;
	uint64_t now = now_ns();
	pthread_mutex_lock(&walk->lock);
	for (size_t i = walk->worker_count; i-- > 0;)
		left += is_overdue(walk->workers[i], now, patience_ns) && leave_behind(walk, walk->workers[i]);
	for (size_t i = 0; i < left; i++)
		replace_worker(walk);
	pthread_mutex_unlock(&walk->lock);
	return left;
}

const struct walk_job *walk_jobs(const struct walk *walk)
{
	return walk->jobs;
}

void walk_end(struct walk *walk)
{
	for (bool more = true; more;) {
		pthread_mutex_lock(&walk->lock);
		walk->stops = true;
		for (size_t i = walk->worker_count; i-- > 0;)
			leave_behind(walk, walk->workers[i]);
		more = walk->worker_count;
		pthread_mutex_unlock(&walk->lock);
		if (more)
			await(walk, 1);
	}
	walk_release(walk);
}
