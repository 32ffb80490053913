// A way of walking that does what its jobs say: for test_pool.py. Built with pool.c and what it needs, and with
// --wrap for the functions that are to fail.

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdint.h>
#include <stdlib.h>

#include "foreign.h"
#include "jobs.h"
#include "pool.h"
#include "pool_double.h"

struct walker {
	struct worker worker;
	int settled;
};

static struct pool_double *used;

// One less is left. false: there was none.
static bool take_one(int32_t *left)
{
	return __atomic_fetch_sub(left, 1, __ATOMIC_SEQ_CST) > 0;
}

static int32_t add(int32_t *count, int32_t change)
{
	return __atomic_add_fetch(count, change, __ATOMIC_SEQ_CST);
}

// ---- what is to fail ----

void *__real_malloc(size_t bytes);
void *__real_calloc(size_t count, size_t bytes);
void *__real_realloc(void *old, size_t bytes);
void *__real_aligned_alloc(size_t alignment, size_t bytes);
int __real_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *), void *argument);

void *__wrap_malloc(size_t bytes)
{
	return take_one(&used->allocations_left) ? __real_malloc(bytes) : NULL;
}

void *__wrap_calloc(size_t count, size_t bytes)
{
	return take_one(&used->allocations_left) ? __real_calloc(count, bytes) : NULL;
}

void *__wrap_realloc(void *old, size_t bytes)
{
	return take_one(&used->allocations_left) ? __real_realloc(old, bytes) : NULL;
}

void *__wrap_aligned_alloc(size_t alignment, size_t bytes)
{
	return take_one(&used->allocations_left) ? __real_aligned_alloc(alignment, bytes) : NULL;
}

int __wrap_pthread_create(pthread_t *id, const pthread_attr_t *attributes, void *(*run)(void *), void *argument)
{
	return take_one(&used->threads_left) ? __real_pthread_create(id, attributes, run, argument) : EAGAIN;
}

// ---- the walker ----

static int walker_init(struct worker *worker)
{
	struct pool_double *own = worker->source;
	if (!take_one(&own->inits_left))
		return -ENOMEM;
	add(&own->inits, 1);
	return 0;
}

// 0, or what the job fails with.
static int do_task(struct worker *worker)
{
	struct pool_double *own = worker->source;
	char byte;
	switch (worker->job.pid) {
	case DOUBLE_READS:
		job_step(worker, STEP_MAPS);
		if (foreign_read(worker, worker->job.leader, &byte, sizeof(byte)) < 0)
			return -errno;
		return 0;
	case DOUBLE_COMPUTES:
		while (!__atomic_load_n(&own->go, __ATOMIC_SEQ_CST))
			sched_yield();
		return 0;
	case DOUBLE_ANSWERED:
		if (FOREIGN(worker, (errno = worker->job.leader, -1)) < 0)
			job_gap(worker, STEP_MAPS, errno);
		return 0;
	case DOUBLE_FAILS:
		return -worker->job.leader;
	default:
		return 0;
	}
}

static int walker_walk(struct worker *worker)
{
	struct pool_double *own = worker->source;
	add(&own->taken[worker->number], 1);
	int32_t working = add(&own->working, 1), most = __atomic_load_n(&own->at_once, __ATOMIC_SEQ_CST);
	while (working > most &&
	       !__atomic_compare_exchange_n(&own->at_once, &most, working, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST))
		;
	worker->job.rss_pages += DOUBLE_BEFORE;
	int error = do_task(worker);
	add(&own->working, -1);
	if (worker_is_left(worker)) {
		add(&own->cancelled, 1);
		job_gap(worker, STEP_PAGEMAP, WALK_EXITED); // notes nothing
		return error;
	}
	worker->job.swap_pages += DOUBLE_AFTER;
	return error;
}

static int walker_settle(struct worker *worker)
{
	struct walker *w = (struct walker *)worker;
	struct pool_double *own = worker->source;
	add(&own->settles, 1);
	add(&own->settled_twice, w->settled++);
	return own->settle_error;
}

static void walker_dispose(struct worker *worker)
{
	add(&((struct pool_double *)worker->source)->disposes, 1);
}

static void source_release(void *source)
{
	add(&((struct pool_double *)source)->releases, 1);
}

int32_t double_get(const int32_t *field)
{
	return __atomic_load_n(field, __ATOMIC_SEQ_CST);
}

void double_set(int32_t *field, int32_t value)
{
	__atomic_store_n(field, value, __ATOMIC_SEQ_CST);
}

void double_use(struct pool_double *pool_double)
{
	used = pool_double;
}

int double_walk(const struct walk_request *request, struct walk **ret)
{
	static const struct walk_methods methods = {
		.walker_bytes = sizeof(struct walker),
		.init = walker_init,
		.walk = walker_walk,
		.settle = walker_settle,
		.dispose = walker_dispose,
		.release = source_release,
	};
	return walk_begin(request, &methods, used, ret);
}
