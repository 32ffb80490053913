// The threads of a walk: see pool.h.

#include "pool.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "array.h"
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
	size_t abandoned; // jobs
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
		if (worker_is_left(worker))
			return;
		pthread_mutex_lock(&walk->lock);
		put_job_back(walk, worker, error);
		pthread_mutex_unlock(&walk->lock);
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
	free(worker);
	walk_release(walk);
}

static void *run(void *argument)
{
	struct worker *worker = argument;
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

// Signals are for whoever waits.
static int start_thread(struct worker *worker)
{
	pthread_attr_t attributes;
	sigset_t all, before;
	pthread_t id;
	sigfillset(&all);
	pthread_attr_init(&attributes);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int error = pthread_create(&id, &attributes, run, worker);
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
		error = start_thread(worker);
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

// Wait until a worker has ended since the last time, or the time is over. 0 or a negative errno.
static int await(const struct walk *walk, int timeout_ms)
{
	struct pollfd changed = { .fd = walk->done_fd, .events = POLLIN };
	uint64_t told;
	if (poll(&changed, 1, timeout_ms) < 0 || (read(walk->done_fd, &told, sizeof(told)) < 0 && errno != EAGAIN))
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
	int in_kernel = WORKER_IN_KERNEL;
	if (!atomic_compare_exchange_strong(&worker->state, &in_kernel, WORKER_LEFT))
		return false;
	// From here on the worker looks at nothing but its state until it has ended.
	forget_worker(walk, worker);
	if (!worker->job.step) {
		worker->job.step = worker->step;
		worker->job.error = WALK_BUSY;
	}
	put_job_back(walk, worker, walk->methods->settle(worker));
	walk->abandoned++;
	return true;
}

int walk_abandon(struct walk *walk, size_t job)
{
	bool left = false;
	pthread_mutex_lock(&walk->lock);
	for (size_t i = 0; !left && i < walk->worker_count; i++)
		left = walk->workers[i]->number == job && leave_behind(walk, walk->workers[i]);
	if (left && !walk->error && queue_waits(&walk->queue)) {
		int error = add_worker(walk);
		if (error && !walk->worker_count)
			walk->error = error;
	}
	pthread_mutex_unlock(&walk->lock);
	return left;
}

const struct walk_job *walk_jobs(const struct walk *walk)
{
	return walk->jobs;
}

size_t walk_abandoned(const struct walk *walk)
{
	return walk->abandoned;
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
