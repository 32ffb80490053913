// The jobs of a walk: see queue.h. Each job is looked at twice at most, however many wait.

#include "queue.h"

#include <errno.h>
#include <stdlib.h>

#define JOB_NONE UINT32_MAX
#define OWNER_NONE UINT32_MAX

enum { OWNER_CLOSED, OWNER_OPENING, OWNER_OPEN };

struct queue_owner {
	uint32_t large;	  // how many large jobs it has
	uint32_t waiting; // jobs that wait until it is open, the smallest first; JOB_NONE: none
	uint32_t next;	  // the next owner that is being opened and whose jobs wait
	uint8_t state;
};

// The parts of one address space are no siblings: they hardly map the same frames.
static bool is_large(const struct walk_job *job)
{
	return job->expected_pages >= LARGE_PAGES_OF_JOB && !job->stripe;
}

static int larger_first(const void *a, const void *b, void *jobs)
{
	uint64_t x = ((const struct walk_job *)jobs)[*(const uint32_t *)a].expected_pages;
	uint64_t y = ((const struct walk_job *)jobs)[*(const uint32_t *)b].expected_pages;
	return x < y ? 1 : x > y ? -1 : 0;
}

int queue_init(struct queue *queue, const struct walk_job *jobs, size_t count)
{
	uint32_t owners = 0;
	for (size_t i = 0; i < count; i++)
		owners = jobs[i].owner >= owners ? jobs[i].owner + 1 : owners;
	*queue = (struct queue){ .jobs = jobs, .count = count, .opening = OWNER_NONE, .ready = JOB_NONE };
	queue->order = malloc((count + 1) * sizeof(*queue->order));
	queue->later = malloc((count + 1) * sizeof(*queue->later));
	queue->owners = malloc((owners + UINT64_C(1)) * sizeof(*queue->owners));
	if (!queue->order || !queue->later || !queue->owners) {
		queue_deinit(queue);
		return -ENOMEM;
	}
	for (uint32_t owner = 0; owner < owners; owner++)
		queue->owners[owner] = (struct queue_owner){ .waiting = JOB_NONE, .next = OWNER_NONE };
	for (size_t i = 0; i < count; i++) {
		queue->order[i] = i;
		queue->owners[jobs[i].owner].large += is_large(&jobs[i]);
	}
	qsort_r(queue->order, count, sizeof(*queue->order), larger_first, (void *)jobs);
	return 0;
}

void queue_deinit(struct queue *queue)
{
	free(queue->order);
	free(queue->later);
	free(queue->owners);
	*queue = (struct queue){ 0 };
}

bool queue_has_siblings(const struct queue *queue, const struct walk_job *job)
{
	return is_large(job) && queue->owners[job->owner].large > 1;
}

bool queue_waits(const struct queue *queue)
{
	return queue->next < queue->count || queue->ready != JOB_NONE || queue->opening != OWNER_NONE;
}

static uint32_t pop(struct queue *queue, uint32_t *list)
{
	uint32_t job = *list;
	*list = queue->later[job];
	return job;
}

static void push(struct queue *queue, uint32_t *list, uint32_t job)
{
	queue->later[job] = *list;
	*list = job;
}

// Passes over jobs whose owner is being opened: they wait.
static void pass_over_waiting(struct queue *queue)
{
	for (; queue->next < queue->count; queue->next++) {
		uint32_t job = queue->order[queue->next], number = queue->jobs[job].owner;
		struct queue_owner *owner = &queue->owners[number];
		if (owner->state != OWNER_OPENING)
			return;
		if (owner->waiting == JOB_NONE) {
			owner->next = queue->opening;
			queue->opening = number;
		}
		push(queue, &owner->waiting, job);
	}
}

// The smallest job of an owner that is being opened: the least in the way.
static uint32_t take_waiting(struct queue *queue)
{
	struct queue_owner *owner = &queue->owners[queue->opening];
	uint32_t job = pop(queue, &owner->waiting);
	if (owner->waiting == JOB_NONE)
		queue->opening = owner->next;
	return job;
}

static bool is_as_large(const struct queue *queue, uint32_t job, uint32_t other)
{
	return queue->jobs[job].expected_pages >= queue->jobs[other].expected_pages;
}

static uint32_t take_largest(struct queue *queue)
{
	pass_over_waiting(queue);
	bool more = queue->next < queue->count;
	if (queue->ready != JOB_NONE && (!more || is_as_large(queue, queue->ready, queue->order[queue->next])))
		return pop(queue, &queue->ready);
	if (more)
		return queue->order[queue->next++];
	return queue->opening != OWNER_NONE ? take_waiting(queue) : JOB_NONE;
}

bool queue_take(struct queue *queue, size_t *number, bool *opens)
{
	uint32_t job = take_largest(queue);
	if (job == JOB_NONE)
		return false;
	struct queue_owner *owner = &queue->owners[queue->jobs[job].owner];
	*opens = owner->state == OWNER_CLOSED && queue_has_siblings(queue, &queue->jobs[job]);
	if (*opens)
		owner->state = OWNER_OPENING;
	*number = job;
	return true;
}

void queue_opened(struct queue *queue, uint32_t number)
{
	struct queue_owner *owner = &queue->owners[number];
	owner->state = OWNER_OPEN;
	if (owner->waiting == JOB_NONE)
		return;
	while (owner->waiting != JOB_NONE) // the smallest first: the largest ends up in front
		push(queue, &queue->ready, pop(queue, &owner->waiting));
	for (uint32_t *at = &queue->opening; *at != OWNER_NONE; at = &queue->owners[*at].next)
		if (*at == number) {
			*at = owner->next;
			break;
		}
}
